! taskhost: what a task calls, with Fortran's strings; and the plugin's entry. It is based on module taskhost_abi, and
! re-exports it.
!
! A plugin defines one subroutine, which registers its tasks:
!
!   subroutine my_tasks() bind(c, name='taskhost_tasks')
!     call add_task('greeter', '1.0', 'greets', storage_size(model) / 8, poll=poll, start=start, drop=drop)
!   end subroutine
!
! Threads: [any thread] on any thread from start until drop has returned; the others only from the execution's own
! start, poll, run or finish. The host calls these on several threads, but never concurrently for the same execution.
! Module variables, and local ones with SAVE or an initial value in their declaration, are shared by all executions.
! Ownership: nothing that these return has to be released.
! Errors: a failing task returns fail(exec, 'why'). Fortran has no exceptions: stop, error stop and a runtime error end
! the process, so use iostat= and stat= wherever an error is possible.
module taskhost
  use, intrinsic :: iso_c_binding
  use taskhost_abi
  implicit none
  public

  type :: waker
    ! Wakes one execution. A value: keep it for ever; once the execution has ended it does nothing.
    integer(taskhost_waker) :: value = 0
    type(c_ptr), private :: services = c_null_ptr
  end type

  ! One factory, with its texts. Created once, kept as long as the library is loaded.
  type, private :: task_entry
    type(taskhost_factory) :: factory
    character(kind=c_char), allocatable :: name(:), version(:), description(:)
  end type

  integer(c_int), private :: described = 0  ! a pthread_once_t
  type(c_ptr), private :: first_factory = c_null_ptr
  type(task_entry), pointer, private :: last_entry => null()

  private :: table, set_text, fortran_text, config_reader, signals_table

contains

  ! The plugin's entry. The host may call it on several threads at once; each call returns the same pointer.
  type(c_ptr) function plugin_entry() bind(c, name='taskhost_plugin_v1')
    interface
      subroutine taskhost_tasks() bind(c)  ! defined by the plugin
      end subroutine
      integer(c_int) function pthread_once(control, routine) bind(c)
        import :: c_int, c_funptr
        integer(c_int), intent(inout) :: control
        type(c_funptr), value :: routine
      end function
    end interface
    integer(c_int) :: ignored
    ignored = pthread_once(described, c_funloc(taskhost_tasks))
    plugin_entry = first_factory
  end function

  ! Registers a task; call it in taskhost_tasks. Pass either poll or run: a task with poll shares its thread and never
  ! blocks, one with run has a thread of its own. Each execution has state_bytes of zeroed memory, in which allocatable
  ! components are not allocated and pointers not associated; access it with c_f_pointer. drop deallocates what the
  ! others allocated; it is called once for each start that returned TASKHOST_OK.
  !
  ! finish, with poll: an end that takes time, such as closing a connection. It is called like poll after the execution
  ! has ended, until it returns TASKHOST_OK, for up to the task's stop_timeout; the outcome is already decided.
  ! check: returns fail(exec, 'why') if no execution could live with the config. It is called before the host starts,
  ! and by "taskhost check"; only log_..., fail, config_..., task_name, time_now and extension may be called there.
  subroutine add_task(name, version, description, state_bytes, start, poll, run, drop, finish, check)
    character(*), intent(in) :: name, version, description
    integer, intent(in) :: state_bytes
    procedure(taskhost_step), optional :: start, poll, run, finish
    procedure(taskhost_drop), optional :: drop
    procedure(taskhost_check), optional :: check
    type(task_entry), pointer :: entry
    allocate (entry)
    call set_text(entry%name, name)
    call set_text(entry%version, version)
    call set_text(entry%description, description)
    entry%factory%struct_size = int(c_sizeof(entry%factory), c_int32_t)
    entry%factory%name = c_loc(entry%name)
    if (len(version) > 0) entry%factory%version = c_loc(entry%version)
    if (len(description) > 0) entry%factory%description = c_loc(entry%description)
    entry%factory%state_size = int(state_bytes, c_size_t)
    if (present(start)) entry%factory%start = c_funloc(start)
    if (present(poll)) entry%factory%poll = c_funloc(poll)
    if (present(run)) entry%factory%run = c_funloc(run)
    if (present(finish)) entry%factory%finish = c_funloc(finish)
    if (present(drop)) entry%factory%drop = c_funloc(drop)
    if (present(check)) entry%factory%check = c_funloc(check)
    if (associated(last_entry)) then
      last_entry%factory%next = c_loc(entry%factory)
    else
      first_factory = c_loc(entry%factory)
    end if
    last_entry => entry
  end subroutine

  ! [any thread] Write a line to the host's log: UTF-8, up to 4096 bytes. Trailing blanks are written too: use trim().
  subroutine log_text(exec, level, text)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int32_t), intent(in) :: level  ! TASKHOST_LOG_TRACE to TASKHOST_LOG_ERROR
    character(*), intent(in) :: text
    type(taskhost_services), pointer :: services
    procedure(taskhost_log_call), pointer :: call_log
    services => table(exec)
    call c_f_procpointer(services%log, call_log)
    call call_log(exec, level, text, len(text, c_size_t))
  end subroutine

  subroutine log_debug(exec, text)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: text
    call log_text(exec, TASKHOST_LOG_DEBUG, text)
  end subroutine

  subroutine log_info(exec, text)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: text
    call log_text(exec, TASKHOST_LOG_INFO, text)
  end subroutine

  subroutine log_warning(exec, text)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: text
    call log_text(exec, TASKHOST_LOG_WARNING, text)
  end subroutine

  subroutine log_error(exec, text)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: text
    call log_text(exec, TASKHOST_LOG_ERROR, text)
  end subroutine

  ! Gives the reason why this execution fails. Returns TASKHOST_ERROR: status = fail(exec, 'why'); return
  integer(c_int32_t) function fail(exec, text)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: text
    type(taskhost_services), pointer :: services
    procedure(taskhost_fail_call), pointer :: call_fail
    services => table(exec)
    call c_f_procpointer(services%fail, call_fail)
    fail = call_fail(exec, text, len(text, c_size_t))
  end function

  ! [any thread] True once the host asks the execution to end. The execution is woken when that happens.
  logical function stop_requested(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    procedure(taskhost_exec_to_int32), pointer :: call_stop
    services => table(exec)
    call c_f_procpointer(services%stop_requested, call_stop)
    stop_requested = call_stop(exec) /= 0
  end function

  ! [any thread] The config as JSON text; config_text and the like below read single values.
  function config_json(exec) result(text)
    type(taskhost_exec), intent(in) :: exec
    character(:), allocatable :: text
    type(taskhost_services), pointer :: services
    procedure(taskhost_config_call), pointer :: call_config
    type(c_ptr) :: address
    integer(c_size_t) :: size
    services => table(exec)
    call c_f_procpointer(services%config, call_config)
    address = call_config(exec, size)
    text = fortran_text(address, size)
  end function

  ! [any thread] The task's name in the manifest.
  function task_name(exec) result(text)
    type(taskhost_exec), intent(in) :: exec
    character(:), allocatable :: text
    interface
      integer(c_size_t) function strlen(text) bind(c)
        import :: c_size_t, c_ptr
        type(c_ptr), value :: text
      end function
    end interface
    type(taskhost_services), pointer :: services
    procedure(taskhost_task_name_call), pointer :: call_name
    type(c_ptr) :: address
    services => table(exec)
    call c_f_procpointer(services%task_name, call_name)
    address = call_name(exec)
    text = fortran_text(address, strlen(address))
  end function

  ! [any thread] Number of this execution within its task, starting at 1.
  integer(c_int64_t) function execution_number(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    procedure(taskhost_exec_to_int64), pointer :: call_number
    services => table(exec)
    call c_f_procpointer(services%execution_number, call_number)
    execution_number = call_number(exec)
  end function

  ! [any thread] Nanoseconds from an arbitrary point on a monotonic clock.
  integer(c_int64_t) function time_now(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    procedure(taskhost_now_call), pointer :: call_now
    services => table(exec)
    call c_f_procpointer(services%now, call_now)
    time_now = call_now()
  end function

  ! Has the execution polled again at that time, never earlier. It has one timer: a new time replaces the old one,
  ! TASKHOST_NEVER clears it.
  subroutine wake_at(exec, time)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int64_t), intent(in) :: time
    type(taskhost_services), pointer :: services
    procedure(taskhost_wake_time_call), pointer :: call_wake
    services => table(exec)
    call c_f_procpointer(services%wake_at, call_wake)
    call call_wake(exec, time)
  end subroutine

  ! The same after a delay in nanoseconds.
  subroutine wake_after(exec, delay)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int64_t), intent(in) :: delay
    type(taskhost_services), pointer :: services
    procedure(taskhost_wake_time_call), pointer :: call_wake
    services => table(exec)
    call c_f_procpointer(services%wake_after, call_wake)
    call call_wake(exec, delay)
  end subroutine

  ! With poll only: has the execution polled as long as the descriptor is ready for one of `interests`
  ! (TASKHOST_READABLE + TASKHOST_WRITABLE). take_ready then tells the tag. Replaces an earlier watch of the descriptor.
  ! Returns TASKHOST_OK, or a TASKHOST_REFUSED_ that the host has logged.
  integer(c_int32_t) function watch(exec, fd, interests, tag)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int), intent(in) :: fd
    integer(c_int32_t), intent(in) :: interests
    integer(c_int64_t), intent(in) :: tag
    type(taskhost_services), pointer :: services
    procedure(taskhost_watch_call), pointer :: call_watch
    services => table(exec)
    call c_f_procpointer(services%watch, call_watch)
    watch = call_watch(exec, int(fd, taskhost_fd), interests, tag)
  end function

  ! Ends the watch: to be called before the descriptor is closed. In drop the host has already forgotten all of them.
  subroutine forget(exec, fd)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int), intent(in) :: fd
    integer(c_int32_t) :: ignored
    ignored = watch(exec, fd, 0_c_int32_t, 0_c_int64_t)
  end subroutine

  ! With poll only: what is ready now. Fills the list's beginning, and returns how many there are: the tag of each, and
  ! in `what` TASKHOST_READABLE, TASKHOST_WRITABLE, TASKHOST_BROKEN (test them with iand()), or TASKHOST_DONE alone. A
  ! watched descriptor comes again as long as it is ready, offloaded work once.
  integer function take_ready(exec, list)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_ready), intent(inout), contiguous :: list(:)
    type(taskhost_services), pointer :: services
    procedure(taskhost_take_ready_call), pointer :: call_take
    services => table(exec)
    call c_f_procpointer(services%take_ready, call_take)
    take_ready = int(call_take(exec, list, size(list, kind=c_size_t)))
  end function

  ! With poll only: has work(argument) called on another thread, which it may block. When it has returned, the execution
  ! is polled, take_ready tells the tag, once, with TASKHOST_DONE, and the argument is the execution's again. Until then
  ! it is the work's alone: nobody else reads or deallocates it. If the execution ends first, the work goes on, and then
  ! discard(argument) is called, which deallocates it. Neither has an execution. Returns TASKHOST_OK; or a
  ! TASKHOST_REFUSED_ that the host has logged: then neither is called.
  integer(c_int32_t) function offload(exec, tag, argument, work, discard)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int64_t), intent(in) :: tag
    type(c_ptr), intent(in) :: argument
    procedure(taskhost_work_step) :: work, discard
    type(taskhost_services), pointer :: services
    procedure(taskhost_offload_call), pointer :: call_offload
    type(taskhost_work) :: handed
    handed%struct_size = int(c_sizeof(handed), c_int32_t)
    handed%tag = tag
    handed%argument = argument
    handed%run = c_funloc(work)
    handed%discard = c_funloc(discard)
    services => table(exec)
    call c_f_procpointer(services%offload, call_offload)
    offload = call_offload(exec, handed)
  end function

  ! In run only: sleeps until that time, a wake, or the stop. Test the bits TASKHOST_WAIT_STOP, _WAKE and _TIME of the
  ! result with iand(). In a poll it returns at once.
  integer(c_int32_t) function wait_until(exec, time)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int64_t), intent(in) :: time
    type(taskhost_services), pointer :: services
    procedure(taskhost_wait_call), pointer :: call_wait
    services => table(exec)
    call c_f_procpointer(services%wait, call_wait)
    wait_until = call_wait(exec, time)
  end function

  integer(c_int32_t) function wait_for(exec, delay)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int64_t), intent(in) :: delay
    integer(c_int64_t) :: now
    now = time_now(exec)
    wait_for = wait_until(exec, merge(now + delay, TASKHOST_NEVER, delay >= 0 .and. delay < huge(now) - now))
  end function

  ! In run only, for a loop of the task's own: a descriptor that is readable while a wait would return for a wake or the
  ! stop. It is the host's: never read or close it. -1: there is none.
  integer(c_int) function wait_fd(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    procedure(taskhost_exec_to_int64), pointer :: call_fd
    services => table(exec)
    call c_f_procpointer(services%wait_fd, call_fd)
    wait_fd = int(call_fd(exec), c_int)
  end function

  type(waker) function own_waker(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    procedure(taskhost_exec_to_int64), pointer :: call_waker
    services => table(exec)
    call c_f_procpointer(services%waker, call_waker)
    own_waker%value = call_waker(exec)
    own_waker%services = exec%services
  end function

  ! [any thread, at any time]
  subroutine wake(target)
    type(waker), intent(in) :: target
    type(taskhost_services), pointer :: services
    procedure(taskhost_wake_call), pointer :: call_wake
    if (target%value == 0) return
    call c_f_pointer(target%services, services)
    call c_f_procpointer(services%wake, call_wake)
    call call_wake(target%value)
  end subroutine

  ! [any thread] Reports that the execution is ready to do its job.
  subroutine say_ready(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    procedure(taskhost_sign_call), pointer :: call_sign
    services => table(exec)
    call c_f_procpointer(services%ready, call_sign)
    call call_sign(exec)
  end subroutine

  ! [any thread] A sign of life, for the task's watchdog.
  subroutine heartbeat(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    procedure(taskhost_sign_call), pointer :: call_sign
    services => table(exec)
    call c_f_procpointer(services%heartbeat, call_sign)
    call call_sign(exec)
  end subroutine

  ! [any thread] What the execution is doing, for operators: one line, UTF-8, up to 256 bytes.
  subroutine say_status(exec, text)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: text
    type(taskhost_services), pointer :: services
    procedure(taskhost_status_call), pointer :: call_status
    services => table(exec)
    call c_f_procpointer(services%status, call_status)
    call call_status(exec, text, len(text, c_size_t))
  end subroutine

  ! True if the texts are identical. == ignores trailing blanks: 'ok ' == 'ok'.
  pure logical function same_text(left, right)
    character(*), intent(in) :: left, right
    same_text = len(left) == len(right) .and. left == right
  end function

  ! [any thread] The table of an extension, for c_f_pointer, or c_null_ptr.
  type(c_ptr) function extension(exec, id, revision)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: id
    integer(c_int32_t), intent(in) :: revision
    type(taskhost_services), pointer :: services
    procedure(taskhost_extension_call), pointer :: call_extension
    services => table(exec)
    call c_f_procpointer(services%extension, call_extension)
    extension = call_extension(exec, id // c_null_char, revision)
  end function

  ! Values of the config, read and checked by the host. `pointer` names one by its JSON pointer: '/every', '/pins/0'.
  ! If there is no value, `value` is left as it is, so set it to the default first. A wrong value sets `ok` to false:
  ! the host then has the reason, so return TASKHOST_ERROR. If `ok` is false these do nothing: set it to .true., read
  ! all values, then check it once.

  ! Rejects unknown keys: the argument lists those of the top level, separated by blanks.
  subroutine config_keys(exec, keys, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: keys
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_keys), pointer :: call_keys
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%keys, call_keys)
    ok = call_keys(exec, keys // c_null_char) == TASKHOST_OK
  end subroutine

  ! Rejects a config without this value: for values that have no default.
  subroutine config_require(exec, pointer, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: pointer
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_keys), pointer :: call_require
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%require, call_require)
    ok = call_require(exec, pointer // c_null_char) == TASKHOST_OK
  end subroutine

  subroutine config_text(exec, pointer, value, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: pointer
    character(:), allocatable, intent(inout) :: value
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_text), pointer :: call_text
    type(c_ptr) :: address
    integer(c_size_t) :: size
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%text, call_text)
    address = c_null_ptr
    size = 0
    ok = call_text(exec, pointer // c_null_char, address, size) == TASKHOST_OK
    if (ok .and. c_associated(address)) value = fortran_text(address, size)
  end subroutine

  subroutine config_integer(exec, pointer, least, most, value, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: pointer
    integer(c_int64_t), intent(in) :: least, most
    integer(c_int64_t), intent(inout) :: value
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_integer), pointer :: call_integer
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%integer, call_integer)
    ok = call_integer(exec, pointer // c_null_char, least, most, value) == TASKHOST_OK
  end subroutine

  subroutine config_number(exec, pointer, value, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: pointer
    real(c_double), intent(inout) :: value
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_number), pointer :: call_number
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%number, call_number)
    ok = call_number(exec, pointer // c_null_char, value) == TASKHOST_OK
  end subroutine

  subroutine config_logical(exec, pointer, value, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: pointer
    logical, intent(inout) :: value, ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_boolean), pointer :: call_boolean
    integer(c_int32_t) :: number
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%boolean, call_boolean)
    number = merge(1, 0, value)
    ok = call_boolean(exec, pointer // c_null_char, number) == TASKHOST_OK
    value = number /= 0
  end subroutine

  ! Such as "250ms", "10s" or "1.5h", in nanoseconds; up to 365 days.
  subroutine config_duration(exec, pointer, value, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: pointer
    integer(c_int64_t), intent(inout) :: value
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_duration), pointer :: call_duration
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%duration, call_duration)
    ok = call_duration(exec, pointer // c_null_char, value) == TASKHOST_OK
  end subroutine

  ! Reads a duration that does not stand in the config. False: it is none, and `value` is left as it is.
  logical function parse_duration(exec, text, value)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: text
    integer(c_int64_t), intent(inout) :: value
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_parse_duration), pointer :: call_parse
    parse_duration = .true.
    reader => config_reader(exec, parse_duration)
    if (.not. parse_duration) return
    call c_f_procpointer(reader%parse_duration, call_parse)
    parse_duration = call_parse(text, len(text, c_size_t), value) == TASKHOST_OK
  end function

  ! The number of elements of an array.
  subroutine config_count(exec, pointer, value, ok)
    type(taskhost_exec), intent(in) :: exec
    character(*), intent(in) :: pointer
    integer(c_size_t), intent(inout) :: value
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    procedure(taskhost_config_count), pointer :: call_count
    reader => config_reader(exec, ok)
    if (.not. ok) return
    call c_f_procpointer(reader%count, call_count)
    ok = call_count(exec, pointer // c_null_char, value) == TASKHOST_OK
  end subroutine

  ! Has this execution woken by these signals (TASKHOST_SIGNAL_ bits), until it ends; replaces an earlier subscription.
  ! False: the host does not share its signals, or does not know one of them.
  logical function subscribe_signals(exec, signals)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int32_t), intent(in) :: signals
    type(taskhost_signals), pointer :: functions
    procedure(taskhost_signals_subscribe), pointer :: call_subscribe
    functions => signals_table(exec)
    subscribe_signals = associated(functions)
    if (.not. subscribe_signals) return
    call c_f_procpointer(functions%subscribe, call_subscribe)
    subscribe_signals = call_subscribe(exec, signals) == TASKHOST_OK
  end function

  ! The signals that have come since the last call, as bits.
  integer(c_int32_t) function take_signals(exec)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_signals), pointer :: functions
    procedure(taskhost_exec_to_int32), pointer :: call_take
    take_signals = 0
    functions => signals_table(exec)
    if (.not. associated(functions)) return
    call c_f_procpointer(functions%take, call_take)
    take_signals = call_take(exec)
  end function

  function table(exec) result(services)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_services), pointer :: services
    call c_f_pointer(exec%services, services)
  end function

  function config_reader(exec, ok) result(reader)
    type(taskhost_exec), intent(in) :: exec
    logical, intent(inout) :: ok
    type(taskhost_config_reader), pointer :: reader
    nullify (reader)
    if (.not. ok) return
    call c_f_pointer(extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION), reader)
    if (associated(reader)) return
    ok = fail(exec, 'this host reads no configs (extension taskhost.config)') == TASKHOST_OK
  end function

  function signals_table(exec) result(functions)
    type(taskhost_exec), intent(in) :: exec
    type(taskhost_signals), pointer :: functions
    call c_f_pointer(extension(exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION), functions)
  end function

  subroutine set_text(characters, text)
    character(kind=c_char), allocatable, intent(out) :: characters(:)
    character(*), intent(in) :: text
    integer :: i
    allocate (characters(len(text) + 1))
    do i = 1, len(text)
      characters(i) = text(i:i)
    end do
    characters(len(text) + 1) = c_null_char
  end subroutine

  function fortran_text(address, size) result(text)
    type(c_ptr), intent(in) :: address
    integer(c_size_t), intent(in) :: size
    character(:), allocatable :: text
    character(kind=c_char), pointer :: characters(:)
    integer(c_size_t) :: i
    call c_f_pointer(address, characters, [size])
    allocate (character(size) :: text)
    do i = 1, size
      text(i:i) = characters(i)
    end do
  end function
end module
