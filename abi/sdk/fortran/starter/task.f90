! @NAME@: greets at an interval, until it is stopped or has greeted "times" times.
module greeter_task
  use, intrinsic :: iso_c_binding
  use taskhost
  implicit none
  private

  ! One execution; the host provides it zeroed.
  type :: greeter
    character(:), allocatable :: greeting
    logical :: fails
    integer(c_int64_t) :: every
    integer(c_int64_t) :: times  ! 0: unlimited
    integer(c_int64_t) :: done
    integer(c_int64_t) :: next   ! time of the next greeting
  end type
  type(greeter) :: model(0)  ! for its size only

contains

  subroutine tasks() bind(c, name='taskhost_tasks')
    call add_task('@NAME@', '1.0', 'greets at an interval', storage_size(model) / 8, start=start, poll=poll, drop=drop, &
                  check=check)
  end subroutine

  integer(c_int32_t) function start(state, exec) bind(c, name='') result(status)
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    type(greeter), pointer :: self
    call c_f_pointer(state, self)
    status = read_config(exec, self)
  end function

  ! Called before the host starts, and by "taskhost check": could an execution live with this config?
  integer(c_int32_t) function check(exec) bind(c, name='') result(status)
    type(taskhost_exec), intent(in), target :: exec
    type(greeter) :: self
    status = read_config(exec, self)
  end function

  integer(c_int32_t) function read_config(exec, self) result(status)
    type(taskhost_exec), intent(in), target :: exec
    type(greeter), intent(inout) :: self
    character(:), allocatable :: greeting, ending  ! self must not own these before the start has succeeded
    logical :: ok
    status = TASKHOST_ERROR
    greeting = 'hello from Fortran'
    self%every = TASKHOST_SECOND
    ending = 'ok'
    ok = .true.
    call config_keys(exec, 'greeting every times end', ok)
    call config_text(exec, '/greeting', greeting, ok)
    call config_duration(exec, '/every', self%every, ok)
    call config_integer(exec, '/times', 0_c_int64_t, huge(self%times), self%times, ok)
    call config_text(exec, '/end', ending, ok)
    if (.not. ok) return  ! the host has already reported what is wrong
    self%fails = same_text(ending, 'error')
    if (.not. (self%fails .or. same_text(ending, 'ok'))) then
      status = fail(exec, 'config: /end: must be "ok" or "error"')
      return
    end if
    call move_alloc(greeting, self%greeting)
    status = TASKHOST_OK
  end function

  ! Called once after the start, then after each wake: by the timer, by the stop, or for no reason at all.
  integer(c_int32_t) function poll(state, exec) bind(c, name='') result(status)
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    type(greeter), pointer :: self
    integer(c_int64_t) :: now
    call c_f_pointer(state, self)
    status = TASKHOST_OK
    if (stop_requested(exec)) return
    now = time_now(exec)
    if (now >= self%next) then
      call log_info(exec, self%greeting)
      call say_ready(exec)
      self%done = self%done + 1
      if (self%done == self%times) then
        if (self%fails) status = fail(exec, 'was told to fail')
        return
      end if
      self%next = now + self%every
    end if
    call wake_at(exec, self%next)
    status = TASKHOST_PENDING
  end function

  subroutine drop(state, exec) bind(c, name='')
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    type(greeter), pointer :: self
    call c_f_pointer(state, self)
    deallocate (self%greeting)
  end subroutine
end module
