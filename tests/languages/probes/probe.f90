! The probe in Fortran: see README.md.
module probe
  use, intrinsic :: iso_c_binding
  use taskhost
  implicit none
  private

  integer(c_int64_t), parameter :: input_tag = 7, work_tag = 9

  type :: doubling
    integer(c_int64_t) :: number, outcome
    logical :: fails
  end type

  type :: state_type
    integer(c_int) :: descriptor
    logical :: fails
    logical :: work_done
    integer :: finishes
    type(doubling), pointer :: work
  end type
  type(state_type) :: model(0)

contains

  subroutine tasks() bind(c, name='taskhost_tasks')
    call add_task('probe', '1.0', '', storage_size(model) / 8, start=start, poll=poll, drop=drop, finish=finish, &
      check=check)
    call add_task('waiter', '1.0', '', 0, run=run)
  end subroutine

  integer(c_int32_t) function read_config(exec, descriptor, fails) result(status)
    type(taskhost_exec), intent(in) :: exec
    integer(c_int), intent(out) :: descriptor
    logical, intent(out) :: fails
    integer(c_int64_t) :: fd, fail_wanted, delay
    logical :: ok
    fd = 0
    fail_wanted = 0
    ok = .true.
    call config_keys(exec, 'fd fail', ok)
    if (.not. parse_duration(exec, '250ms', delay)) delay = 0
    if (parse_duration(exec, 'soon', delay)) delay = 0
    if (delay /= 250000000) ok = fail(exec, 'reads no durations') == TASKHOST_OK
    call config_integer(exec, '/fd', -huge(fd), huge(fd), fd, ok)
    call config_integer(exec, '/fail', 0_c_int64_t, 1_c_int64_t, fail_wanted, ok)
    descriptor = int(fd, c_int)
    fails = fail_wanted /= 0
    status = merge(TASKHOST_OK, TASKHOST_ERROR, ok)
    if (ok .and. fd < 0) status = fail(exec, 'fd: must not be negative')
  end function

  integer(c_int32_t) function check(exec) bind(c, name='') result(status)
    type(taskhost_exec), intent(in), target :: exec
    integer(c_int) :: descriptor
    logical :: fails
    status = read_config(exec, descriptor, fails)
  end function

  subroutine double(argument) bind(c, name='')
    type(c_ptr), value :: argument
    type(doubling), pointer :: work
    character(40) :: text
    call c_f_pointer(argument, work)
    write (text, '(i0)') 2 * work%number  ! the runtime, on the host's thread
    read (text, *) work%outcome
  end subroutine

  subroutine discard(argument) bind(c, name='')
    type(c_ptr), value :: argument
    type(doubling), pointer :: work
    call c_f_pointer(argument, work)
    deallocate (work)
  end subroutine

  integer(c_int32_t) function start(state, exec) bind(c, name='') result(status)
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    type(state_type), pointer :: self
    call c_f_pointer(state, self)
    nullify (self%work)
    status = read_config(exec, self%descriptor, self%fails)
    if (status /= TASKHOST_OK) return
    call say_status(exec, 'waiting')
    status = watch(exec, self%descriptor, TASKHOST_READABLE, input_tag)
    if (status /= TASKHOST_OK) status = fail(exec, 'cannot wait')
  end function

  integer(c_int32_t) function poll(state, exec) bind(c, name='') result(status)
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    type(state_type), pointer :: self
    type(doubling), pointer :: work
    type(taskhost_ready) :: list(16)
    character(40) :: line
    integer :: i
    call c_f_pointer(state, self)
    status = TASKHOST_OK
    if (self%work_done) return
    if (stop_requested(exec)) return
    do i = 1, take_ready(exec, list)
      if (list(i)%tag == input_tag) then
        write (line, '(a,i0,a,i0)') 'ready ', list(i)%tag, ' ', list(i)%what
        call log_info(exec, trim(line))
        call forget(exec, self%descriptor)
        allocate (work)
        work = doubling(21, 0, self%fails)
        status = offload(exec, work_tag, c_loc(work), double, discard)
        if (status /= TASKHOST_OK) then
          deallocate (work)
          status = fail(exec, 'cannot offload')
          return
        end if
        self%work => work
        call say_status(exec, 'working')
      else
        self%work_done = list(i)%what == TASKHOST_DONE
        write (line, '(a,i0,a,i0)') 'done ', list(i)%tag, ' ', self%work%outcome
        status = TASKHOST_AGAIN
        if (self%work%fails) then
          status = fail(exec, 'the work failed')
        else
          call log_info(exec, trim(line))
        end if
        deallocate (self%work)
        return
      end if
    end do
    status = TASKHOST_PENDING
  end function

  integer(c_int32_t) function finish(state, exec) bind(c, name='') result(status)
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    type(state_type), pointer :: self
    call c_f_pointer(state, self)
    select case (self%finishes)
    case (0)
      status = TASKHOST_AGAIN
    case (1)
      call wake_after(exec, TASKHOST_MILLISECOND)
      status = TASKHOST_PENDING
    case default
      call log_info(exec, 'finishing')
      status = TASKHOST_OK
    end select
    self%finishes = self%finishes + 1
  end function

  subroutine drop(state, exec) bind(c, name='')
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    call log_info(exec, 'dropped')
  end subroutine

  integer(c_int32_t) function run(state, exec) bind(c, name='') result(status)
    type(c_ptr), value :: state
    type(taskhost_exec), intent(in), target :: exec
    character(40) :: line
    write (line, '(a,i0)') 'wait_fd ', wait_fd(exec)
    call log_info(exec, trim(line))
    status = TASKHOST_OK
  end function
end module
