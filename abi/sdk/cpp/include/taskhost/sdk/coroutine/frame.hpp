// taskhost/sdk/coroutine/frame.hpp: where a coroutine's frame is stored, and how it is resumed. All of this is an
// implementation detail of taskhost/sdk/coroutine.hpp.
#ifndef TASKHOST_SDK_COROUTINE_FRAME_HPP
#define TASKHOST_SDK_COROUTINE_FRAME_HPP

#include <coroutine>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace taskhost::sdk::detail {

// Precedes each frame.
struct alignas(std::max_align_t) FrameHeader {
  void* frame;
  bool on_heap;
};

// Memory for one frame in an execution's state. A thread-local points to it while start calls the coroutine.
struct FrameMemory {
  std::byte* place;
  std::size_t size;           // with the header
  std::size_t too_large = 0;  // bytes of a frame that did not fit
};
inline constinit thread_local FrameMemory* frame_memory = nullptr;

inline void* new_frame(std::size_t size, FrameMemory* memory) {
  const std::size_t needed = size + sizeof(FrameHeader);
  const bool fits = memory != nullptr && memory->place != nullptr && needed <= memory->size;
  if (memory != nullptr && !fits) memory->too_large = size;
  void* place = fits ? std::exchange(memory->place, nullptr) : ::operator new(needed);
  auto* header = ::new (place) FrameHeader{nullptr, !fits};
  header->frame = header + 1;
  return header->frame;
}
inline void delete_frame(void* frame) noexcept {
  auto* header = static_cast<FrameHeader*>(frame) - 1;
  if (header->on_heap) ::operator delete(header);
}

// A suspended coroutine: like std::coroutine_handle<>, but also correct with g++ 12. If a body has a co_await in the
// condition of an if, a while or a switch, and declares no variables, that compiler places a variable of its own before
// the frame's functions, which ought to come first. The address that it computes from a promise is then that of the
// functions, while these expect the beginning of the frame. So this keeps both addresses, and nothing else in the SDK
// asks a handle for its promise or whether it is done.
class Coroutine {
 public:
  Coroutine() = default;
  template <class Promise>
  explicit Coroutine(Promise& promise) noexcept
      : functions_(std::coroutine_handle<Promise>::from_promise(promise).address()), frame_(functions_) {
#if defined(__GNUC__) && !defined(__clang__)
    while (frame_before(frame_) != frame_) frame_ = static_cast<std::byte*>(frame_) - sizeof(void*);
#endif
  }

  explicit operator bool() const noexcept { return frame_ != nullptr; }
  void resume() const {
    if (frame_ == functions_) return std::coroutine_handle<>::from_address(frame_).resume();
    call(0);
  }
  void destroy() const {
    if (frame_ == functions_) return std::coroutine_handle<>::from_address(frame_).destroy();
    call(1);
  }

 private:
  using Function = void (*)(void*);

  void call(std::size_t number) const {
    Function function = nullptr;
    std::memcpy(&function, static_cast<std::byte*>(functions_) + number * sizeof function, sizeof function);
    function(frame_);
  }
  static void* frame_before(void* place) noexcept {
    void* frame = nullptr;
    std::memcpy(&frame, static_cast<std::byte*>(place) - sizeof(FrameHeader) + offsetof(FrameHeader, frame),
                sizeof frame);
    return frame;
  }

  void* functions_ = nullptr;
  void* frame_ = nullptr;
};

}  // namespace taskhost::sdk::detail

#endif
