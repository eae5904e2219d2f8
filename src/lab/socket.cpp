// What applications do in a scenario, and what the hosts are set to.
#include <array>

#include "lab/lab.hpp"
#include "lab/names.hpp"

namespace ff::lab {
namespace {

// The words of the user are for both hosts unless one is named before a dot.
bool meant_for(const Host& host, std::string_view& name) {
  for (const std::string_view prefix : {"client.", "server."}) {
    if (!name.starts_with(prefix)) continue;
    const bool meant = prefix.substr(0, prefix.size() - 1) == host.name();
    name.remove_prefix(prefix.size());
    return meant;
  }
  return true;
}

}  // namespace

// ---- sockets -------------------------------------------------------------------------------------------------------

std::size_t Socket::write(std::string_view bytes) {
  return host_->stack().write(host_->lab_.now(), id_, as_bytes(bytes)).value_or(0);
}

std::optional<Error> Socket::try_write(std::string_view bytes) {
  const auto written = host_->stack().write(host_->lab_.now(), id_, as_bytes(bytes));
  return written ? std::nullopt : std::optional(written.error());
}

std::string Socket::read(std::size_t at_most) {
  std::string text;
  while (text.size() < at_most) {
    const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(at_most - text.size(), UINT32_MAX));
    const auto piece = host_->stack().read_slice(host_->lab_.now(), id_, most);
    if (!piece || piece->empty()) break;
    text += piece->text();
  }
  return text;
}

std::optional<Error> Socket::try_read() {
  const auto piece = host_->stack().read_slice(host_->lab_.now(), id_);
  return piece ? std::nullopt : std::optional(piece.error());
}

void Socket::shutdown_write() { (void)host_->stack().shutdown_write(host_->lab_.now(), id_); }
void Socket::shutdown_read() { (void)host_->stack().shutdown_read(host_->lab_.now(), id_); }
void Socket::close() { (void)host_->stack().close(host_->lab_.now(), id_); }
void Socket::abort() { (void)host_->stack().abort(host_->lab_.now(), id_); }

bool Socket::established() const {
  switch (state()) {
    case TcpState::Established:
    case TcpState::FinWait1:
    case TcpState::FinWait2:
    case TcpState::CloseWait:
      return true;
    default:
      return false;
  }
}

bool Socket::told(std::uint8_t bit) const {
  const auto ending = host_->endings_.find({id_.index, id_.generation});
  return ending != host_->endings_.end() && (ending->second.events & bit) != 0;
}

std::optional<Error> Socket::error() const {
  const auto ending = host_->endings_.find({id_.index, id_.generation});
  return ending == host_->endings_.end() ? std::nullopt : ending->second.error;
}

std::optional<Duration> Socket::closed_at() const {
  if (!closed()) return std::nullopt;
  return host_->endings_.at({id_.index, id_.generation}).closed_at;
}

ConnectionInfo Socket::info() const {
  ConnectionInfo nothing;
  nothing.tuple = tuple_;
  return host_->lab_.world.inspect(host_->id_).info(id_).value_or(nothing);
}

// ---- datagrams -----------------------------------------------------------------------------------------------------

std::optional<Error> DatagramSocket::send(std::string_view bytes, const std::optional<Endpoint>& to) {
  const auto sent = host_->stack().send(host_->lab_.now(), id_, Slice::copy_of(as_bytes(bytes)), to);
  return sent ? std::nullopt : std::optional(sent.error());
}

std::optional<Error> DatagramSocket::connect(const Endpoint& to) {
  const auto done = host_->stack().connect(id_, to);
  return done ? std::nullopt : std::optional(done.error());
}

std::optional<Datagram> DatagramSocket::receive() {
  auto datagram = host_->stack().receive(id_);
  return datagram ? std::optional(*std::move(datagram)) : std::nullopt;
}

std::vector<std::string> DatagramSocket::receive_all() {
  std::vector<std::string> all;
  while (const auto datagram = receive()) all.emplace_back(datagram->bytes.text());
  return all;
}

std::optional<DatagramError> DatagramSocket::receive_error() {
  auto error = host_->stack().receive_error(id_);
  return error ? std::optional(*std::move(error)) : std::nullopt;
}

DatagramInfo DatagramSocket::info() const { return host_->lab_.world.inspect(host_->id_).info(id_).value(); }

// ---- hosts ---------------------------------------------------------------------------------------------------------

void Host::set(std::string_view setting, std::string_view value) {
  const std::string name = canonical_setting(setting).value_or(std::string(setting));
  for (const auto& [wish, wanted] : wishes_) {
    if (wish == name) return;
  }
  if (const auto done = stack().set_setting(name, value); !done) throw Stopped(done.error());
}

std::string Host::setting(std::string_view setting) {
  const std::string name = canonical_setting(setting).value_or(std::string(setting));
  const auto value = get_setting(lab_.world.inspect(id_).settings(), name);
  if (!value) throw Stopped(value.error());
  const bool by_user = std::ranges::any_of(wishes_, [&](const auto& wish) { return wish.first == name; });
  lab_.used(SettingUsed{.host = name_, .name = name, .value = *value, .by_user = by_user});
  return *value;
}

std::uint64_t Host::number(std::string_view name) { return std::stoull(setting(name), nullptr, 0); }

std::uint64_t Host::count(Counter counter) {
  const std::uint64_t value = lab_.world.inspect(id_).counters()[counter];
  lab_.used(CounterUsed{name_, fmt::format("{} {}", group_of(counter), name_of(counter)), value});
  return value;
}

std::uint64_t Host::count(DropReason reason) {
  const std::uint64_t value = lab_.world.inspect(id_).counters()[reason];
  lab_.used(CounterUsed{name_, fmt::format("dropped {}", name_of(reason)), value});
  return value;
}

std::uint64_t Host::count(FastOpenOutcome outcome) {
  const std::uint64_t value = lab_.world.inspect(id_).counters()[outcome];
  lab_.used(CounterUsed{name_, fmt::format("Fast Open outcome {}", name_of(outcome)), value});
  return value;
}

ListenOptions Host::completed(ListenOptions options) const {
  if (options.local.port == 0) options.local.port = kPort;
  if (options.local.address == IpAddress())
    options.local.address = address_.is_v4() ? IpAddress::any_v4() : IpAddress();
  return options;
}

ConnectOptions Host::completed(ConnectOptions options) const {
  if (options.remote.port == 0) options.remote = {lab_.other(*this).address(), kPort};
  return options;
}

Listener Host::listen(ListenOptions options) {
  const auto listener = stack().listen(completed(std::move(options)));
  if (!listener) throw Stopped(fmt::format("the {} cannot listen: {}", name_, to_string(listener.error())));
  return {*listener};
}

std::optional<Error> Host::try_listen(ListenOptions options) {
  const auto listener = stack().listen(completed(std::move(options)));
  return listener ? std::nullopt : std::optional(listener.error());
}

void Host::close(Listener listener) { (void)stack().close(lab_.now(), listener.id); }

Socket Host::socket(ConnectionId id) {
  const auto info = lab_.world.inspect(id_).info(id);
  return Socket(*this, id, info ? info->tuple : FourTuple());
}

Socket Host::connect(ConnectOptions options) {
  const auto connection = stack().connect(lab_.now(), completed(std::move(options)));
  if (!connection) throw Stopped(fmt::format("the {} cannot connect: {}", name_, to_string(connection.error())));
  return socket(*connection);
}

std::optional<Error> Host::try_connect(ConnectOptions options) {
  const auto connection = stack().connect(lab_.now(), completed(std::move(options)));
  return connection ? std::nullopt : std::optional(connection.error());
}

std::optional<Socket> Host::try_accept(Listener listener) {
  const auto connection = stack().accept(listener.id);
  return connection ? std::optional(socket(*connection)) : std::nullopt;
}

Socket Host::accept(Listener listener) {
  const auto accepted = try_accept(listener);
  if (!accepted) throw Stopped(fmt::format("nothing waits for the {} to accept", name_));
  return *accepted;
}

DatagramSocket Host::open(std::uint16_t port, DatagramOptions options) {
  options.local = {address_.is_v4() ? IpAddress::any_v4() : IpAddress::any_v6(), port};
  const auto socket = stack().open(options);
  if (!socket) throw Stopped(fmt::format("the {} cannot open a socket: {}", name_, to_string(socket.error())));
  return {*this, *socket};
}

void Host::restart() {
  lab_.world.restart(id_);
  for (const auto& [name, value] : wishes_) (void)stack().set_setting(name, value);
}

Stack::Population Host::population() const { return lab_.world.inspect(id_).population(); }

Stack& Host::stack() { return lab_.world.stack(id_); }

void Host::take_wishes(const Wishes& wishes) {
  for (const auto& [wish, value] : wishes.set) {
    std::string_view name = wish;
    if (!meant_for(*this, name)) continue;
    const auto setting = canonical_setting(name);
    if (!setting) continue;  // a word of the scenario's own
    if (const auto done = stack().set_setting(*setting, value); !done) throw Stopped(done.error());
    wishes_.emplace_back(*setting, value);
  }
}

void Host::handle(const Event& event) {
  if (event.connection.generation != 0) {
    Ending& ending = endings_[{event.connection.index, event.connection.generation}];
    ending.events |= event.bits;
    if ((event.bits & event_bits::kClosed) != 0) {
      ending.closed_at = lab_.elapsed();
      if (const auto info = lab_.world.inspect(id_).info(event.connection)) ending.error = info->error;
    }
  }
  if (application_) application_(event);
}

}  // namespace ff::lab
