#include "embed/caught_error.hpp"

#include <boost/system/system_error.hpp>
#include <exception>
#include <new>
#include <system_error>

#include "taskhost/core/system_failure.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

CaughtError system_error(int error, const std::exception& thrown) {
  if (!is_refusal(error)) return {TASKHOST_RESULT_INTERNAL, thrown.what()};
  if (!is_shortage(error)) return {TASKHOST_RESULT_SYSTEM, thrown.what()};
  return {TASKHOST_RESULT_SYSTEM, system_failure(error, thrown.what()).what()};
}

CaughtError words_of_exception() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return {TASKHOST_RESULT_NO_MEMORY, "out of memory"};
  } catch (const std::system_error& error) {
    return system_error(error.code().value(), error);
  } catch (const boost::system::system_error& error) {
    return system_error(error.code().value(), error);
  } catch (const std::exception& error) {
    return {TASKHOST_RESULT_INTERNAL, error.what()};
  } catch (...) {
    return {TASKHOST_RESULT_INTERNAL, "an exception that is not a std::exception was thrown"};
  }
}

}  // namespace

CaughtError caught_error() noexcept {
  try {
    return words_of_exception();
  } catch (...) {
    return {TASKHOST_RESULT_NO_MEMORY, "out of memory"};  // short enough to need no allocation
  }
}

}  // namespace taskhost
