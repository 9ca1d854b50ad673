! taskhost_abi: taskhost/plugin.h, ext/config.h and ext/signals.h in Fortran, field by field, with the names of the
! headers, which document each function. A task only needs module taskhost; use this one for what that leaves out.
!
! Structs of functions contain c_funptr: c_f_procpointer, with the abstract interface named beside the field, makes a
! procedure pointer of one. Fortran has no unsigned integers: times are int64 (which suffices for 292 years), bits are
! int32, TASKHOST_NEVER is -1. Pass an execution by reference, never copy it: private fields of the host follow.
module taskhost_abi
  use, intrinsic :: iso_c_binding
  implicit none
  public

  integer, parameter :: TASKHOST_ABI_MAJOR = 1, TASKHOST_ABI_MINOR = 0
  character(*), parameter :: TASKHOST_ENTRY_NAME = 'taskhost_plugin_v1'

  integer(c_int32_t), parameter :: &  ! how a call ended
    TASKHOST_OK = 0, TASKHOST_PENDING = 1, TASKHOST_ERROR = 2, TASKHOST_PANIC = 3, TASKHOST_AGAIN = 4
  integer(c_int32_t), parameter :: &  ! why a service does not do what it was asked for
    TASKHOST_REFUSED_CALL = 16, TASKHOST_REFUSED_ARGUMENT = 17, TASKHOST_REFUSED_CLOSED = 18, &
    TASKHOST_REFUSED_ALWAYS = 19, TASKHOST_REFUSED_LOOP = 20, TASKHOST_REFUSED_DESCRIPTORS = 21, &
    TASKHOST_REFUSED_MEMORY = 22, TASKHOST_REFUSED_THREADS = 23, &
    TASKHOST_REFUSED_WATCHERS = 24
  integer(c_int32_t), parameter :: &
    TASKHOST_LOG_TRACE = 0, TASKHOST_LOG_DEBUG = 1, TASKHOST_LOG_INFO = 2, TASKHOST_LOG_WARNING = 3, &
    TASKHOST_LOG_ERROR = 4
  integer(c_int32_t), parameter :: &  ! interests of watch, and what take_ready tells
    TASKHOST_READABLE = 1, TASKHOST_WRITABLE = 2, TASKHOST_BROKEN = 4, TASKHOST_DONE = 8
  integer(c_int32_t), parameter :: TASKHOST_WAIT_STOP = 1, TASKHOST_WAIT_WAKE = 2, TASKHOST_WAIT_TIME = 4
  integer(c_int64_t), parameter :: TASKHOST_MICROSECOND = 1000_c_int64_t, TASKHOST_MILLISECOND = 1000000_c_int64_t, &
    TASKHOST_SECOND = 1000000000_c_int64_t, TASKHOST_NEVER = -1_c_int64_t

  integer, parameter :: taskhost_waker = c_int64_t  ! a kind
  integer, parameter :: taskhost_fd = c_int64_t     ! a kind

  type, bind(c) :: taskhost_ready
    integer(c_int64_t) :: tag = 0
    integer(c_int32_t) :: what = 0
    integer(c_int32_t) :: reserved = 0
  end type

  type, bind(c) :: taskhost_work
    integer(c_int32_t) :: struct_size
    integer(c_int32_t) :: reserved = 0
    integer(c_int64_t) :: tag = 0
    type(c_ptr) :: argument = c_null_ptr
    type(c_funptr) :: run = c_null_funptr      ! taskhost_work_step
    type(c_funptr) :: discard = c_null_funptr  ! taskhost_work_step
  end type

  type, bind(c) :: taskhost_exec
    type(c_ptr) :: services  ! to a taskhost_services
  end type

  type, bind(c) :: taskhost_services
    integer(c_int32_t) :: struct_size
    integer(c_int32_t) :: abi_minor
    type(c_funptr) :: log               ! taskhost_log_call
    type(c_funptr) :: fail              ! taskhost_fail_call
    type(c_funptr) :: config            ! taskhost_config_call
    type(c_funptr) :: task_name         ! taskhost_task_name_call
    type(c_funptr) :: execution_number  ! taskhost_exec_to_int64
    type(c_funptr) :: stop_requested    ! taskhost_exec_to_int32
    type(c_funptr) :: now               ! taskhost_now_call
    type(c_funptr) :: waker             ! taskhost_exec_to_int64
    type(c_funptr) :: wake              ! taskhost_wake_call
    type(c_funptr) :: wake_at           ! taskhost_wake_time_call
    type(c_funptr) :: wake_after        ! taskhost_wake_time_call
    type(c_funptr) :: watch             ! taskhost_watch_call
    type(c_funptr) :: take_ready        ! taskhost_take_ready_call
    type(c_funptr) :: offload           ! taskhost_offload_call
    type(c_funptr) :: wait              ! taskhost_wait_call
    type(c_funptr) :: wait_fd           ! taskhost_exec_to_int64
    type(c_funptr) :: ready             ! taskhost_sign_call
    type(c_funptr) :: heartbeat         ! taskhost_sign_call
    type(c_funptr) :: status            ! taskhost_status_call
    type(c_funptr) :: extension         ! taskhost_extension_call
  end type

  type, bind(c) :: taskhost_factory
    integer(c_int32_t) :: struct_size
    integer(c_int32_t) :: required_minor = 0
    type(c_ptr) :: name = c_null_ptr
    type(c_ptr) :: version = c_null_ptr
    type(c_ptr) :: description = c_null_ptr
    integer(c_size_t) :: state_size = 0
    integer(c_size_t) :: state_align = 0
    integer(c_int32_t) :: flags = 0
    integer(c_int32_t) :: reserved = 0
    type(c_funptr) :: start = c_null_funptr  ! taskhost_step
    type(c_funptr) :: poll = c_null_funptr   ! taskhost_step
    type(c_funptr) :: run = c_null_funptr    ! taskhost_step
    type(c_funptr) :: finish = c_null_funptr ! taskhost_step
    type(c_funptr) :: drop = c_null_funptr   ! taskhost_drop
    type(c_funptr) :: check = c_null_funptr  ! taskhost_check
    type(c_ptr) :: next = c_null_ptr         ! to a taskhost_factory
  end type

  character(*), parameter :: TASKHOST_EXTENSION_CONFIG = 'taskhost.config'
  integer(c_int32_t), parameter :: TASKHOST_CONFIG_REVISION = 1

  type, bind(c) :: taskhost_config_reader
    integer(c_int32_t) :: struct_size
    integer(c_int32_t) :: revision
    type(c_funptr) :: keys      ! taskhost_config_keys
    type(c_funptr) :: require   ! taskhost_config_keys
    type(c_funptr) :: text      ! taskhost_config_text
    type(c_funptr) :: integer   ! taskhost_config_integer
    type(c_funptr) :: number    ! taskhost_config_number
    type(c_funptr) :: boolean   ! taskhost_config_boolean
    type(c_funptr) :: duration  ! taskhost_config_duration
    type(c_funptr) :: count     ! taskhost_config_count
    type(c_funptr) :: parse_duration  ! taskhost_config_parse_duration
  end type

  character(*), parameter :: TASKHOST_EXTENSION_SIGNALS = 'taskhost.signals'
  integer(c_int32_t), parameter :: TASKHOST_SIGNALS_REVISION = 1
  integer(c_int32_t), parameter :: TASKHOST_SIGNAL_INTERRUPT = 1, TASKHOST_SIGNAL_TERMINATE = 2, &
    TASKHOST_SIGNAL_HANGUP = 4, TASKHOST_SIGNAL_USER1 = 8, TASKHOST_SIGNAL_USER2 = 16

  type, bind(c) :: taskhost_signals
    integer(c_int32_t) :: struct_size
    integer(c_int32_t) :: revision
    type(c_funptr) :: subscribe  ! taskhost_signals_subscribe
    type(c_funptr) :: take       ! taskhost_exec_to_int32
  end type

  abstract interface
    ! The functions of a task: start, poll, run and finish; drop; check; and those of offloaded work.
    integer(c_int32_t) function taskhost_step(state, exec) bind(c)
      import :: c_int32_t, c_ptr, taskhost_exec
      type(c_ptr), value :: state
      type(taskhost_exec), intent(in), target :: exec
    end function
    subroutine taskhost_drop(state, exec) bind(c)
      import :: c_ptr, taskhost_exec
      type(c_ptr), value :: state
      type(taskhost_exec), intent(in), target :: exec
    end subroutine
    integer(c_int32_t) function taskhost_check(exec) bind(c)
      import :: c_int32_t, taskhost_exec
      type(taskhost_exec), intent(in), target :: exec
    end function
    subroutine taskhost_work_step(argument) bind(c)
      import :: c_ptr
      type(c_ptr), value :: argument
    end subroutine

    ! The services
    subroutine taskhost_log_call(exec, level, text, size) bind(c)
      import :: c_int32_t, c_char, c_size_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      integer(c_int32_t), value :: level
      character(kind=c_char), intent(in) :: text(*)
      integer(c_size_t), value :: size
    end subroutine
    integer(c_int32_t) function taskhost_fail_call(exec, text, size) bind(c)
      import :: c_int32_t, c_char, c_size_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: text(*)
      integer(c_size_t), value :: size
    end function
    type(c_ptr) function taskhost_config_call(exec, size) bind(c)
      import :: c_ptr, c_size_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      integer(c_size_t), intent(out) :: size
    end function
    type(c_ptr) function taskhost_task_name_call(exec) bind(c)
      import :: c_ptr, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
    end function
    integer(c_int64_t) function taskhost_exec_to_int64(exec) bind(c)
      import :: c_int64_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
    end function
    integer(c_int32_t) function taskhost_exec_to_int32(exec) bind(c)
      import :: c_int32_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
    end function
    integer(c_int64_t) function taskhost_now_call() bind(c)
      import :: c_int64_t
    end function
    subroutine taskhost_wake_call(waker) bind(c)
      import :: taskhost_waker
      integer(taskhost_waker), value :: waker
    end subroutine
    subroutine taskhost_wake_time_call(exec, time) bind(c)
      import :: c_int64_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      integer(c_int64_t), value :: time
    end subroutine
    integer(c_int32_t) function taskhost_watch_call(exec, fd, interests, tag) bind(c)
      import :: c_int32_t, c_int64_t, taskhost_exec, taskhost_fd
      type(taskhost_exec), intent(in) :: exec
      integer(taskhost_fd), value :: fd
      integer(c_int32_t), value :: interests
      integer(c_int64_t), value :: tag
    end function
    integer(c_size_t) function taskhost_take_ready_call(exec, list, capacity) bind(c)
      import :: c_size_t, taskhost_exec, taskhost_ready
      type(taskhost_exec), intent(in) :: exec
      type(taskhost_ready), intent(inout) :: list(*)
      integer(c_size_t), value :: capacity
    end function
    integer(c_int32_t) function taskhost_offload_call(exec, work) bind(c)
      import :: c_int32_t, taskhost_exec, taskhost_work
      type(taskhost_exec), intent(in) :: exec
      type(taskhost_work), intent(in) :: work
    end function
    integer(c_int32_t) function taskhost_wait_call(exec, time) bind(c)
      import :: c_int32_t, c_int64_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      integer(c_int64_t), value :: time
    end function
    subroutine taskhost_sign_call(exec) bind(c)
      import :: taskhost_exec
      type(taskhost_exec), intent(in) :: exec
    end subroutine
    subroutine taskhost_status_call(exec, text, size) bind(c)
      import :: c_char, c_size_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: text(*)
      integer(c_size_t), value :: size
    end subroutine
    type(c_ptr) function taskhost_extension_call(exec, id, revision) bind(c)
      import :: c_ptr, c_char, c_int32_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: id(*)
      integer(c_int32_t), value :: revision
    end function

    ! taskhost.config
    integer(c_int32_t) function taskhost_config_keys(exec, text) bind(c)
      import :: c_int32_t, c_char, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: text(*)
    end function
    integer(c_int32_t) function taskhost_config_text(exec, pointer, value, size) bind(c)
      import :: c_int32_t, c_char, c_ptr, c_size_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: pointer(*)
      type(c_ptr), intent(inout) :: value
      integer(c_size_t), intent(inout) :: size
    end function
    integer(c_int32_t) function taskhost_config_integer(exec, pointer, least, most, value) bind(c)
      import :: c_int32_t, c_int64_t, c_char, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: pointer(*)
      integer(c_int64_t), value :: least, most
      integer(c_int64_t), intent(inout) :: value
    end function
    integer(c_int32_t) function taskhost_config_number(exec, pointer, value) bind(c)
      import :: c_int32_t, c_double, c_char, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: pointer(*)
      real(c_double), intent(inout) :: value
    end function
    integer(c_int32_t) function taskhost_config_boolean(exec, pointer, value) bind(c)
      import :: c_int32_t, c_char, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: pointer(*)
      integer(c_int32_t), intent(inout) :: value
    end function
    integer(c_int32_t) function taskhost_config_duration(exec, pointer, value) bind(c)
      import :: c_int32_t, c_int64_t, c_char, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: pointer(*)
      integer(c_int64_t), intent(inout) :: value
    end function
    integer(c_int32_t) function taskhost_config_count(exec, pointer, value) bind(c)
      import :: c_int32_t, c_size_t, c_char, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      character(kind=c_char), intent(in) :: pointer(*)
      integer(c_size_t), intent(inout) :: value
    end function
    integer(c_int32_t) function taskhost_config_parse_duration(text, size, value) bind(c)
      import :: c_int32_t, c_int64_t, c_size_t, c_char
      character(kind=c_char), intent(in) :: text(*)
      integer(c_size_t), value :: size
      integer(c_int64_t), intent(inout) :: value
    end function

    ! taskhost.signals
    integer(c_int32_t) function taskhost_signals_subscribe(exec, signals) bind(c)
      import :: c_int32_t, taskhost_exec
      type(taskhost_exec), intent(in) :: exec
      integer(c_int32_t), value :: signals
    end function
  end interface

  ! The compiler checks the layouts: no struct of the headers has padding, so checking the size is enough. A wrong size
  ! is a division by zero here.
  type(taskhost_exec), private :: execs(0)
  type(taskhost_ready), private :: ready_entries(0)
  type(taskhost_work), private :: works(0)
  type(taskhost_services), private :: services(0)
  type(taskhost_factory), private :: factories(0)
  type(taskhost_config_reader), private :: readers(0)
  type(taskhost_signals), private :: signals(0)
  type(c_ptr), private :: words(0)
  type(c_funptr), private :: functions(0)
  integer, parameter, private :: word = storage_size(words)
  integer, parameter :: taskhost_layouts(*) = [ &
    1 / merge(1, 0, storage_size(functions) == word .and. c_size_t * 8 == word), &
    1 / merge(1, 0, storage_size(execs) == word), &
    1 / merge(1, 0, storage_size(ready_entries) == 128), &
    1 / merge(1, 0, storage_size(works) == 128 + 3 * word), &
    1 / merge(1, 0, storage_size(services) == 64 + 20 * word), &
    1 / merge(1, 0, storage_size(factories) == 128 + 12 * word), &
    1 / merge(1, 0, storage_size(readers) == 64 + 9 * word), &
    1 / merge(1, 0, storage_size(signals) == 64 + 2 * word)]
end module
