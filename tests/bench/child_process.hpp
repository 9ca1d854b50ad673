// A program that a measurement runs: started at once, its stdout read here, its stderr kept in case of a failure. Owned
// by one thread of the bench; at the latest, the destructor ends and reaps it.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace bench {

// How it ended.
struct Ending {
  int status = 0;          // as waitpid returns it
  bool timed_out = false;  // and killed
  double cpu_s = 0;        // user and system
  double at = 0;           // the time, by now()

  bool well() const;
  bool interrupted() const;  // by Ctrl-C or a request to end
  std::string text() const;  // "exit status 3", "signal 6", "killed after 300 s"
};

class ChildProcess {
 public:
  // `environment` lists NAME=VALUE, in addition to this process's own.
  explicit ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  double begun() const { return begun_; }  // right before it was started, by now()
  bool read_line(std::string& line);       // of its stdout, without the line end; false at the end
  void send(int signal) const;
  Ending wait(double patience_s);
  std::string errors() const;  // the end of its stderr
  // Throws unless it ended well; says what it was, how it ended and what it printed.
  void require(const Ending& ending) const;

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string name_;
  double begun_ = 0;
  pid_t process_ = -1;
  std::unique_ptr<std::FILE, Closer> output_;
  std::unique_ptr<std::FILE, Closer> errors_;
};

// Removed with the object. In $TMPDIR or /tmp.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace bench
