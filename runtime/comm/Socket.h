// TCP connections that carry messages.
// A message is its length, a letter that says what it is, and bytes. Writing blocks, for a bounded
// time; reading takes what is there, so that one thread can serve many connections.

#ifndef DSC_RUNTIME_COMM_SOCKET_H
#define DSC_RUNTIME_COMM_SOCKET_H

#include "runtime/Status.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace dsc {

/// A file descriptor that is closed with its owner.
class Descriptor {
public:
  explicit Descriptor(int fd = -1) : fd(fd) {}
  Descriptor(Descriptor &&other) noexcept : fd(other.fd) { other.fd = -1; }
  Descriptor &operator=(Descriptor &&other) noexcept;
  ~Descriptor();

  int get() const { return fd; }
  explicit operator bool() const { return fd >= 0; }

private:
  int fd;
};

struct Message {
  char kind = 0;
  std::string bytes;
};

/// One connection.
class Connection {
public:
  Connection() = default;
  explicit Connection(Descriptor socket);

  int descriptor() const { return socket.get(); }
  bool isOpen() const { return static_cast<bool>(socket); }
  void close() { socket = Descriptor(); }

  /// Fails where the other side is gone, or takes nothing for `writeLimit`.
  Status send(char kind, const std::string &bytes);
  void setWriteLimit(std::chrono::milliseconds limit);
  /// Reads what has arrived, without waiting. False once the other side has closed.
  bool fill();
  /// The next whole message of what was read. Error: what arrived is no message of ours.
  Result<std::optional<Message>> next();
  /// Waits for a message; nothing when the time is over or the other side has closed.
  Result<std::optional<Message>> receive(std::chrono::milliseconds limit);

  /// The numeric address of this side, and of the other one.
  std::string localAddress() const;
  std::string remoteAddress() const;

private:
  Descriptor socket;
  std::string buffer;
  size_t consumed = 0;
};

/// Listens on the first free one of `count` ports from `port` on (0: any) of all interfaces; says
/// which.
Result<Descriptor> listenOn(int port, int count, int &taken);

/// One connection from a listening socket; none within `limit`.
Result<std::optional<Connection>> acceptOne(const Descriptor &listener,
                                            std::chrono::milliseconds limit);

/// Connects once. Error: the system's text.
Result<Connection> connectTo(const std::string &host, int port, std::chrono::milliseconds limit);

/// Whether an address is one that other machines cannot reach: 127.0.0.0/8 or ::1.
bool isLoopback(const std::string &address);

} // namespace dsc

#endif // DSC_RUNTIME_COMM_SOCKET_H
