#include <map>
#include <utility>

#include "cli/capture_reader.hpp"
#include "cli/commands.hpp"
#include "cli/demo.hpp"

namespace ff::cli {

std::vector<DemoPackets> visits_in_capture(ByteSpan capture) {
  const auto packets = read_capture(capture);
  if (!packets) throw Failure(packets.error());
  LadderRecorder recorder;
  for (const CapturedPacket& packet : *packets) {
    const bool sent = packet.direction == PcapngWriter::Direction::Outbound;
    recorder.record(packet.time, sent ? LadderDirection::Sent : LadderDirection::Received, packet.bytes, packet.size);
  }
  std::vector<DemoPackets> visits;
  std::map<std::pair<Endpoint, Endpoint>, std::size_t> visit_of;
  for (const LadderRow& row : recorder.rows()) {
    const auto tuple = std::pair(row.tuple.local, row.tuple.remote);
    const bool opens = row.note.empty() && row.flags.syn() && !row.flags.ack();
    if (opens && visit_of.try_emplace(tuple, visits.size()).second) {
      visits.emplace_back();
      visits.back().syn_data = row.payload;
    }
    if (const auto visit = visit_of.find(tuple); visit != visit_of.end()) visits[visit->second].rows.push_back(row);
  }
  return visits;
}

}  // namespace ff::cli
