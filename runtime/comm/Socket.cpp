// TCP connections that carry messages.

#include "runtime/comm/Socket.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace dsc;
using std::chrono::milliseconds;

/// Length, in four bytes, and kind.
static constexpr size_t headerBytes = 5;
static constexpr uint32_t mostBytes = uint32_t(1) << 30;

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept {
  std::swap(fd, other.fd);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd >= 0) {
    close(fd);
  }
}

Connection::Connection(Descriptor descriptor) : socket(std::move(descriptor)) {
  int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Connection::setWriteLimit(milliseconds limit) {
  timeval time = {};
  time.tv_sec = limit.count() / 1000;
  time.tv_usec = limit.count() % 1000 * 1000;
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

Status Connection::send(char kind, const std::string &bytes) {
  if (bytes.size() > mostBytes) {
    return Status::internal(format("a message of %zu bytes between ranks", bytes.size()));
  }
  std::string frame(headerBytes, kind);
  const auto length = static_cast<uint32_t>(bytes.size());
  std::memcpy(frame.data(), &length, sizeof length);
  frame += bytes;
  for (size_t done = 0; done < frame.size();) {
    ssize_t count = ::send(socket.get(), frame.data() + done, frame.size() - done, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return {ExitCode::Rank, std::strerror(errno)};
    }
    done += static_cast<size_t>(count);
  }
  return {};
}

bool Connection::fill() {
  char block[65536];
  for (;;) {
    ssize_t count = recv(socket.get(), block, sizeof block, MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return true;
    }
    if (count <= 0) {
      return false;
    }
    buffer.append(block, static_cast<size_t>(count));
    if (count < static_cast<ssize_t>(sizeof block)) {
      return true;
    }
  }
}

Result<std::optional<Message>> Connection::next() {
  const size_t there = buffer.size() - consumed;
  uint32_t length = 0;
  if (there >= headerBytes) {
    std::memcpy(&length, buffer.data() + consumed, sizeof length);
    if (length > mostBytes) {
      return Status(ExitCode::Rank, "what arrived is not from a rank");
    }
  }
  if (there < headerBytes || there < headerBytes + length) {
    // Drops what was handed out, now that nothing whole is left.
    buffer.erase(0, consumed);
    consumed = 0;
    return std::optional<Message>();
  }
  Message message;
  message.kind = buffer[consumed + headerBytes - 1];
  message.bytes = buffer.substr(consumed + headerBytes, length);
  consumed += headerBytes + length;
  return std::optional<Message>(std::move(message));
}

Result<std::optional<Message>> Connection::receive(milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    Result<std::optional<Message>> message = next();
    if (message.failed() || *message) {
      return message;
    }
    auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    pollfd waiting = {socket.get(), POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) == 0) {
      return std::optional<Message>();
    }
    if (!fill()) {
      return next();
    }
  }
}

static std::string numericAddress(const sockaddr_storage &address, socklen_t length) {
  char host[NI_MAXHOST] = "";
  getnameinfo(reinterpret_cast<const sockaddr *>(&address), length, host, sizeof host, nullptr, 0,
              NI_NUMERICHOST);
  // A connection of version 4 on a socket of version 6.
  constexpr const char *mapped = "::ffff:";
  return std::strncmp(host, mapped, std::strlen(mapped)) == 0 ? host + std::strlen(mapped) : host;
}

std::string Connection::localAddress() const {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address), &length);
  return numericAddress(address, length);
}

std::string Connection::remoteAddress() const {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  getpeername(socket.get(), reinterpret_cast<sockaddr *>(&address), &length);
  return numericAddress(address, length);
}

bool dsc::isLoopback(const std::string &address) {
  return address.compare(0, 4, "127.") == 0 || address == "::1";
}

/// A socket that takes connections of both versions of IP where the machine has both.
static Descriptor openListener(int family) {
  Descriptor listener(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1, off = 0;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) {
    setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  return listener;
}

Result<Descriptor> dsc::listenOn(int port, int count, int &taken) {
  std::string reason;
  for (int candidate = port; candidate < port + count; ++candidate) {
    for (int family : {AF_INET6, AF_INET}) {
      Descriptor listener = openListener(family);
      sockaddr_in6 six = {};
      six.sin6_family = AF_INET6;
      six.sin6_port = htons(static_cast<uint16_t>(candidate));
      sockaddr_in four = {};
      four.sin_family = AF_INET;
      four.sin_port = six.sin6_port;
      const auto *address = family == AF_INET6 ? reinterpret_cast<const sockaddr *>(&six)
                                               : reinterpret_cast<const sockaddr *>(&four);
      const socklen_t length = family == AF_INET6 ? sizeof six : sizeof four;
      if (!listener || bind(listener.get(), address, length) != 0 ||
          listen(listener.get(), SOMAXCONN) != 0) {
        reason = std::strerror(errno);
        continue;
      }
      sockaddr_storage bound = {};
      socklen_t boundLength = sizeof bound;
      getsockname(listener.get(), reinterpret_cast<sockaddr *>(&bound), &boundLength);
      taken = ntohs(family == AF_INET6 ? reinterpret_cast<sockaddr_in6 *>(&bound)->sin6_port
                                       : reinterpret_cast<sockaddr_in *>(&bound)->sin_port);
      return listener;
    }
  }
  return Status::machine(
      format("cannot listen on ports %d to %d: %s", port, port + count - 1, reason.c_str()));
}

Result<std::optional<Connection>> dsc::acceptOne(const Descriptor &listener, milliseconds limit) {
  pollfd waiting = {listener.get(), POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) {
    return std::optional<Connection>();
  }
  Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) {
    return std::optional<Connection>();
  }
  return std::optional<Connection>(Connection(std::move(socket)));
}

/// Connects without blocking for longer than `limit`.
static int connectWithin(int fd, const addrinfo &address, milliseconds limit) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int error = 0;
  if (connect(fd, address.ai_addr, address.ai_addrlen) != 0) {
    error = errno;
    pollfd waiting = {fd, POLLOUT, 0};
    if (error == EINPROGRESS) {
      socklen_t length = sizeof error;
      error = ETIMEDOUT;
      if (poll(&waiting, 1, static_cast<int>(limit.count())) > 0) {
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
      }
    }
  }
  fcntl(fd, F_SETFL, flags);
  return error;
}

Result<Connection> dsc::connectTo(const std::string &host, int port, milliseconds limit) {
  addrinfo hints = {}, *addresses = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &addresses);
  if (failed) {
    return Status::machine(host + ": " + gai_strerror(failed));
  }
  int error = ECONNREFUSED;
  Descriptor socket;
  for (const addrinfo *address = addresses; address; address = address->ai_next) {
    socket = Descriptor(
        ::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol));
    error = socket ? connectWithin(socket.get(), *address, limit) : errno;
    if (error == 0) {
      break;
    }
  }
  freeaddrinfo(addresses);
  if (error) {
    return Status::machine(format("%s port %d: %s", host.c_str(), port, std::strerror(error)));
  }
  return Connection(std::move(socket));
}
