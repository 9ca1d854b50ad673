// A host's control socket in the file system: claims the name, so that no other live host has it, and listens. What a
// host that is gone has left behind is replaced. Owner's thread.
#pragma once

#include <string>

namespace taskhost {

class ControlEndpoint {
 public:
  enum class Failure : unsigned char {
    none,
    taken,       // a live host has the name, or listens at the path
    impossible,  // for other reasons; the host can do without
  };

  ControlEndpoint() = default;
  // Removes the socket.
  ~ControlEndpoint();
  ControlEndpoint(const ControlEndpoint&) = delete;
  ControlEndpoint& operator=(const ControlEndpoint&) = delete;

  // Listens at DIRECTORY/NAME.sock, or at a path of the operator's choice. The directory of the first is made, with
  // mode 0700, and refused if others may write to it. To be called once more only after a failure.
  Failure open_in(const std::string& directory, const std::string& name);
  Failure open_at(const std::string& path);

  // What went wrong, and what to do about it.
  const std::string& problem() const noexcept { return problem_; }
  const std::string& path() const noexcept { return path_; }
  int descriptor() const noexcept { return descriptor_; }  // listening; -1: not open
  // Whoever listens from now on closes it.
  int release() noexcept;

 private:
  Failure fail(Failure failure, std::string problem);
  Failure listen(const std::string& path);

  std::string path_;
  std::string lock_path_;
  std::string problem_;
  int descriptor_ = -1;
  int lock_ = -1;
  unsigned long device_ = 0;  // of the socket's file, so that nobody else's is removed
  unsigned long inode_ = 0;
};

}  // namespace taskhost
