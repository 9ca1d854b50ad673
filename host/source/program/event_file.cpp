#include "program/event_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

#include "system/background_write.hpp"
#include "system/last_words.hpp"
#include "system/own_descriptor.hpp"
#include "text/counted.hpp"

namespace taskhost {

namespace {

constexpr int page = 4096;  // size of a pipe's page, and PIPE_BUF: such a write goes in whole or not at all
constexpr std::size_t max_buffer_bytes = 64 * 1024;
constexpr int retry_ms = 100;

std::string words_of(int error) { return std::generic_category().message(error); }

// The descriptor that a name stands for, as shells and people write it; -1 if none.
int descriptor_named(std::string_view path) {
  if (path == "-" || path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    path.remove_prefix(folder.size());
    int number = -1;
    const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), number);
    return error == std::errc{} && end == path.data() + path.size() ? number : -1;
  }
  return -1;
}

// The same for a link that leads to such a name (a container's log file is one to /dev/stdout), and for another name of
// the FIFO or socket that is stdout or stderr. -1 if it is a path.
int stream_of(const std::string& path) {
  constexpr int max_links = 40;
  std::error_code error;
  std::filesystem::path name = path;
  for (int links = 0; links < max_links && !error; ++links) {
    name = name.lexically_normal();
    if (const int descriptor = descriptor_named(name.native()); descriptor >= 0) return descriptor;
    const auto target = std::filesystem::read_symlink(name, error);
    name = name.parent_path() / target;
  }
  struct stat named {};
  if (::stat(path.c_str(), &named) != 0 || (!S_ISFIFO(named.st_mode) && !S_ISSOCK(named.st_mode))) return -1;
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat open {};
    const bool is_same = ::fstat(stream, &open) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
    const int flags = is_same ? ::fcntl(stream, F_GETFL) : -1;
    if (flags != -1 && (flags & O_ACCMODE) == O_WRONLY) return stream;
  }
  return -1;
}

// Whether the pipe takes this much in one piece. A page may be half empty, but no two consecutive ones are, and the
// first and the last are as they are. A pipe that is too small for it even when empty takes what it can.
bool takes_whole(int descriptor, std::size_t size) {
  const int capacity = ::fcntl(descriptor, F_GETPIPE_SZ);
  int unread = 0;
  if (size <= page || capacity < 0 || ::ioctl(descriptor, FIONREAD, &unread) != 0 || unread == 0) return true;
  const int used = 2 * unread / page + 2;
  return static_cast<int>(size / page) + 1 + used <= capacity / page;
}

// Counts events in whole lines, including those that an events_lost stands for.
std::uint64_t events_in(std::string_view lines) {
  constexpr std::string_view name = "\"event\":\"events_lost\"";
  constexpr std::string_view field = "\"count\":";
  std::uint64_t all = 0;
  for (std::size_t end = lines.find('\n'); end != std::string_view::npos; end = lines.find('\n')) {
    const std::string_view line = lines.substr(0, end);
    std::uint64_t count = 1;
    const std::size_t place = line.find(name) != std::string_view::npos ? line.find(field) : std::string_view::npos;
    if (place != std::string_view::npos) {
      std::from_chars(line.data() + place + field.size(), line.data() + line.size(), count);
    }
    all += count;
    lines.remove_prefix(end + 1);
  }
  return all;
}

}  // namespace

EventFile::EventFile(const std::string& path) : name_(path == "-" ? "stdout" : path.empty() ? "--events \"\"" : path) {
  const int stream = stream_of(path);
  if (stream >= 0) {
    take_stream(stream);
  } else {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(path, error);
    path_ = error || path.empty() ? path : absolute.string();
    open_path();
  }
  if (is_open()) return;
  const int error = errno;
  is_refused_ = error == EMFILE || error == ENFILE || error == ENOMEM;
  problem_ = name_ + ": can't write events there: " + words_of(error);
  if (error == EMFILE) problem_ += "; raise RLIMIT_NOFILE (ulimit -n)";
  if (error == ENOENT) {
    problem_ += path.empty() ? "; name a file, or - for stdout" : "; create its directory first, or name another file";
  }
  if (error == ENXIO) problem_ += "; start its reader first, or allow this user to read it too";
}

void EventFile::take_stream(int stream) {
  const int flags = ::fcntl(stream, F_GETFL);
  // With FD_CLOEXEC it was not inherited, but is one of the program's own.
  const bool is_own = (::fcntl(stream, F_GETFD) & FD_CLOEXEC) != 0;
  if (flags == -1 || is_own || (flags & O_ACCMODE) == O_RDONLY) {
    errno = EBADF;
    return;
  }
  descriptor_ = duplicate_out_of_reach(stream);
  if (!is_open()) return;
  struct stat status {};
  is_regular_ = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  // If others shorten or write to the file meanwhile, there is no hole, and no line in the middle of another.
  if (is_regular_) ::fcntl(descriptor_, F_SETFL, flags | O_APPEND);
  if (stream == STDOUT_FILENO) ::dup2(STDERR_FILENO, STDOUT_FILENO);
  // Otherwise a program that a task starts and that lives on would keep the reader from seeing the end.
  if (stream > STDERR_FILENO) ::fcntl(stream, F_SETFD, FD_CLOEXEC);
}

bool EventFile::open_path() {
  struct stat status {};
  is_fifo_ = ::stat(path_.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
  // If it is opened for reading too, a FIFO neither waits for its reader nor ends with it.
  const int flags = is_fifo_ ? O_RDWR | O_NONBLOCK : O_WRONLY | O_CREAT | O_APPEND;
  int opened = ::open(path_.c_str(), flags | O_NOCTTY | O_CLOEXEC, 0644);
  if (opened < 0 && is_fifo_ && errno == EACCES) {
    is_fifo_ = false;  // one that this user may only write to is treated like any other stream
    opened = ::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  }
  if (opened < 0) return false;
  const int descriptor = duplicate_out_of_reach(opened);
  const int error = errno;
  ::close(opened);
  errno = error;
  if (descriptor < 0) return false;
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = descriptor;
  is_regular_ = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  return true;
}

// Whoever rotates the file renames or removes it, or makes its name lead elsewhere: the next lines go where the name
// leads by then. Returns 0, or the reason why there is no file where anybody could find them.
int EventFile::follow_name(bool had_trouble) {
  if (path_.empty() || !is_regular_) return 0;
  struct stat named {};
  struct stat open {};
  const bool is_same = ::fstat(descriptor_, &open) == 0 && ::stat(path_.c_str(), &named) == 0 &&
                       named.st_dev == open.st_dev && named.st_ino == open.st_ino;
  // After a disk went away and came back, its file looks the same, but can only be written to once it is opened again.
  if (!is_same || had_trouble) {
    const bool is_open = open_path();
    const int error = errno;
    if (!is_open && open.st_nlink == 0) return error;
    if (is_open && !is_same) written_ = end_of_whole_lines();
    if (is_open && is_astray_) tell(TASKHOST_LOG_WARNING, "events go to the file of this name again");
    if (!is_open && !is_same && !is_astray_) {
      is_astray_ = true;
      tell(TASKHOST_LOG_WARNING, "can't open a file of this name: " + words_of(error) +
                                     "; events still go to the file that had this name before");
    }
    if (!is_open) return 0;
  }
  is_astray_ = false;
  return 0;
}

void EventFile::subscribe(taskhost_host* host) {
  host_ = host;
  taskhost_on_event(
      host, [](void* user, const taskhost_event* event) { static_cast<EventFile*>(user)->write(*event); }, this);
}

void EventFile::write(const taskhost_event& event) try {
  const std::size_t size = event.json_size + 1;
  if (!buffer_.empty() && buffer_.size() + size > (is_regular_ ? max_buffer_bytes : page)) flush();
  if (buffer_.empty() && !is_regular_) wait_for_reader(size);
  buffer_.append(event.json, event.json_size).push_back('\n');
  if (event.more == 0) flush();
  if (std::string_view(event.name) == "host_stopped") finish();
} catch (const std::bad_alloc&) {
  ++lost_;
}

void EventFile::flush() {
  int error = over_ ? 0 : follow_name(false);
  while (written_ < buffer_.size() && !over_) {
    if (error == 0) error = write_some();
    if (error == ECANCELED) return;
    if (error == EAGAIN) {
      is_ready(descriptor_, POLLOUT, retry_ms);
    } else if (error == EPIPE || error == ECONNRESET || error == EBADF) {
      over_ = true;
      tell(TASKHOST_LOG_ERROR, "can't write events any more: " + words_of(error) + "; the host goes on without them");
    } else if (error != 0 && error != EINTR) {
      if (!wait_for_room(error)) break;
      error = follow_name(true);
      continue;
    }
    error = 0;
  }
  if (written_ == buffer_.size() && full_) {
    full_ = false;
    tell(TASKHOST_LOG_WARNING, "events are being written again");
  }
  lost_ += events_in(std::string_view(buffer_).substr(written_));
  buffer_.clear();
  written_ = 0;
}

// Waits until a page, or the line if it is longer, goes in whole. While it waits, the event still belongs to the host,
// which counts it if it leaves this thread behind; and no partial line is left then either.
void EventFile::wait_for_reader(std::size_t size) {
  if (over_) return;
  while (!is_ready(descriptor_, POLLOUT, retry_ms)) continue;
  // If the other end is gone, the write reports that.
  while (!takes_whole(descriptor_, size) && !is_ready(descriptor_, 0, 1)) continue;
}

// Returns ECANCELED once the end has been reported: nothing may come after it.
int EventFile::write_some() {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (is_fifo_) {
    lock.lock();
    if (is_closed_) return ECANCELED;
  }
  const ssize_t written = write_in_background(descriptor_, std::string_view(buffer_).substr(written_));
  if (written < 0) return errno;
  written_ += static_cast<std::size_t>(written);
  return 0;
}

// Meanwhile the host's queue fills up and counts what is lost, as with a reader that does not read. Returns false if
// the host is stopping and there is no more time.
bool EventFile::wait_for_room(int error) {
  take_back_half_a_line();
  if (!full_) {
    full_ = true;
    tell(TASKHOST_LOG_ERROR, "can't write events: " + words_of(error) + "; the host keeps trying");
  }
  if (taskhost_state(host_) >= TASKHOST_STATE_STOPPING) return false;
  ::poll(nullptr, 0, retry_ms);
  return true;
}

void EventFile::take_back_half_a_line() {
  if (!is_regular_) return;
  const std::size_t whole = end_of_whole_lines();
  struct stat status {};
  const off_t ours = ::lseek(descriptor_, 0, SEEK_CUR);
  if (whole == written_ || ::fstat(descriptor_, &status) != 0 || status.st_size != ours) {
    return;  // it is no longer the last one
  }
  if (::ftruncate(descriptor_, ours - static_cast<off_t>(written_ - whole)) == 0) written_ = whole;
}

// The end of the last whole line in what was written of the buffer.
std::size_t EventFile::end_of_whole_lines() const {
  const std::size_t end_of_line = written_ == 0 ? std::string::npos : buffer_.rfind('\n', written_ - 1);
  return end_of_line == std::string::npos ? 0 : end_of_line + 1;
}

// Called after the last event.
void EventFile::finish() {
  if (lost_ != 0) {
    tell(TASKHOST_LOG_ERROR, counted(lost_, "event was", "events were") + " not written");
  }
  if (const std::uint64_t unread = take_back_unread(0); unread != 0) {
    tell(TASKHOST_LOG_ERROR, "nobody reads the events: the last " + std::to_string(unread) + " events are lost");
  }
}

// The host counts what its thread could not write. What is left in the FIFO is reported here, without the log, which is
// closed.
void EventFile::close() {
  const std::uint64_t unread = take_back_unread(3 * retry_ms);  // the thread counts as a reader while it waits
  if (unread == 0) return;
  last_words(name_ + ": nobody reads the events: " + std::to_string(unread) + " more events are lost");
}

// What is left in a FIFO that nobody has open is lost when we close it. Returns how many events that is.
std::uint64_t EventFile::take_back_unread(int wait_ms) {
  const std::lock_guard lock(mutex_);
  if (!is_fifo_ || std::exchange(is_closed_, true)) return 0;
  // Through /proc, because the name may lead elsewhere by now.
  const std::string self = "/proc/self/fd/" + std::to_string(descriptor_);
  const int writer = ::open(self.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (writer < 0) return 0;
  ::dup3(writer, descriptor_, O_CLOEXEC);  // keeps the number, as a thread that was left behind may be waiting for it
  ::close(writer);
  pollfd other_end{.fd = descriptor_, .events = 0, .revents = 0};
  if (::poll(&other_end, 1, wait_ms) != 1 || (other_end.revents & POLLERR) == 0) return 0;
  const int reader = ::open(self.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  std::string text;
  std::string piece(page, '\0');
  for (ssize_t size = 0; (size = ::read(reader, piece.data(), piece.size())) > 0;) {
    text.append(piece, 0, static_cast<std::size_t>(size));
  }
  ::close(reader);
  return events_in(text);
}

void EventFile::tell(int32_t level, const std::string& text) const {
  taskhost_log_line(host_, level, (name_ + ": " + text).c_str());
}

}  // namespace taskhost
