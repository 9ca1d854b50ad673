(** Tasks for taskhost in OCaml. A task is a function, and an execution the closure that it returns.

    {[
      open Taskhost

      let beat task =
        let count = ref 0 in
        fun () ->
          if stop_requested task then Done
          else begin
            incr count;
            info task "beat %d" !count;
            wake_after task second;
            Pending
          end

      let () = polled "beat" beat
    ]}

    The function is the start: it reads the config, and is called for each execution. The closure is the poll. Use
    {!on_drop} to release what the GC does not, such as a descriptor or a thread.

    Any exception that leaves them ends the execution: {!Failed} with the outcome [error], any other with [panic], each
    with its text.

    All OCaml code of a plugin runs under one lock, on whichever thread of the host: its executions never run at the
    same time. Different plugins do, since each has a runtime of its own. Times and durations are nanoseconds; times
    count from an arbitrary point on a monotonic clock. Texts are UTF-8. *)

(** One execution, as its task sees it. Using it after its end raises [Invalid_argument]. *)
type t

(** An expected failure: outcome [error] with this text. An empty text keeps the one that the host already has. *)
exception Failed of string

(** Why the host does not do what it was asked for, which it has also logged. *)
type refusal =
  | Wrong_call  (** not from this function or thread, or not in a blocking task *)
  | Wrong_argument
  | Closed
  | Always_ready  (** a file, a directory, a device such as [/dev/null] *)
  | Loop  (** a set of descriptors that would contain itself *)
  | No_descriptor
  | No_memory
  | No_thread
  | Many_watchers  (** as many executions watch it as the system allows *)

(** If nobody catches it: outcome [error]. *)
exception Refused of refusal

type step =
  | Pending  (** not done; poll again after a wake *)
  | Again  (** not done; poll again after all others that are due *)
  | Done  (** the execution has ended well *)

(** {1 Tasks}

    Call these while the modules are initialised, once for each task, at most 16 times; later they raise
    [Invalid_argument]. A manifest selects one of several by its name.

    [check] judges the config before anything is started, and raises {!Failed} if no execution could live with it. It
    starts nothing, and only uses [Config], {!log} and {!task_name}. *)

(** A task that shares its thread: the closure goes as far as it can without blocking. *)
val polled : ?version:string -> ?description:string -> ?check:(t -> unit) -> string -> (t -> unit -> step) -> unit

(** A polled task whose end takes time, such as to close a connection or to wait for threads: the second closure is
    polled once the first has ended the execution, until it returns [Done]. It cannot change the outcome; its exceptions
    are logged. After the task's [stop_timeout] the execution is dropped all the same. *)
val polled_with_finish :
  ?version:string ->
  ?description:string ->
  ?check:(t -> unit) ->
  string ->
  (t -> (unit -> step) * (unit -> step)) ->
  unit

(** A task that may block: the closure has a thread of its own, and its return ends the execution. Blocking calls must
    release OCaml's lock, as {!wait_until}, [Unix] and [Thread] do, or all other tasks of the plugin have to wait. *)
val blocking : ?version:string -> ?description:string -> ?check:(t -> unit) -> string -> (t -> unit -> unit) -> unit

(** {1 The host's services}

    For the execution's own start, closure and [on_drop]; those marked [any-thread] also for OCaml threads. *)

type level = Trace | Debug | Info | Warning | Error

(** [any-thread] Cut at 4096 bytes. *)
val log : t -> level -> string -> unit

(** [any-thread] {!log} at this level, with [Printf]'s formats. *)
val info : t -> ('a, unit, string, unit) format4 -> 'a

val warning : t -> ('a, unit, string, unit) format4 -> 'a

(** [any-thread] Name of the task in the manifest. *)
val task_name : t -> string

(** [any-thread] Number of this execution within its task, starting at 1. *)
val execution_number : t -> int

(** [any-thread] True once the host asks the execution to end. The execution is woken when that happens. *)
val stop_requested : t -> bool

(** [any-thread] *)
val now : t -> int

(** [any-thread] Reports that the execution is ready to do its job. *)
val ready : t -> unit

(** [any-thread] A sign of life, for the task's watchdog. *)
val heartbeat : t -> unit

(** [any-thread] What the execution is doing, in one line, for operators; replaces the last one. *)
val status : t -> ('a, unit, string, unit) format4 -> 'a

(** Registers a function that runs when the execution is dropped, the latest one first. Its exceptions are logged. *)
val on_drop : t -> (unit -> unit) -> unit

(** {1 Waking and waiting} *)

val microsecond : int
val millisecond : int
val second : int
val never : int

(** One timer per execution: a new time replaces the old one, [never] clears it. Never early. *)
val wake_at : t -> int -> unit

val wake_after : t -> int -> unit

type interest = Read | Write | Read_write

(** Polled tasks only: wakes the execution as long as the descriptor is ready; replaces an earlier watch of it. As many
    descriptors as you like. Raises {!Refused}. *)
val watch : t -> Unix.file_descr -> interest -> unit

(** Before the descriptor is closed. In [on_drop] the host has already done so. *)
val forget : t -> Unix.file_descr -> unit

(** [broken]: an error, or the other side is gone; neither a read nor a write would block. *)
type ready = { fd : Unix.file_descr; readable : bool; writable : bool; broken : bool }

(** The watched descriptors that are ready now, up to 64 of them. Each comes again as long as it is ready. *)
val take_ready : t -> ready list

type 'a work

(** Polled tasks only: calls the function on another thread, and wakes the execution when it has returned. It owns all
    that it uses, since it goes on when the execution ends; of a task it uses nothing. It runs under OCaml's lock as all
    code of the plugin does, so it helps for calls that release the lock, as those of [Unix] do, and not for computing:
    the plugin's polls would wait for their turn. Raises {!Refused}. *)
val offload : t -> (unit -> 'a) -> 'a work

(** What the function has returned; [None] while it is going on. Raises what it has raised. *)
val result : 'a work -> 'a option

type waker

val waker : t -> waker

(** From any thread, at any time; after the execution's end it does nothing. *)
val wake : waker -> unit

type woken = { stop : bool; wake : bool; time : bool }

(** Blocking tasks only: sleeps until that time, a wake, or the stop; returns at once if a stop has been requested. *)
val wait_until : t -> int -> woken

val wait_for : t -> int -> woken

(** Blocking tasks only, for a loop of their own such as one around [Unix.select]: readable while a wait would return
    for a wake or the stop; [wait_until task 0] takes the wake. It is the host's: do not read or close it. [None]: there
    is none to be had. *)
val wait_fd : t -> Unix.file_descr option

(** {1 Extensions} *)

(** Values of the config by JSON pointer: ["/every"], ["/pins/0"]. A wrong value raises {!Failed} with the host's text,
    as does a host that reads no configs. *)
module Config : sig
  (** [any-thread] The whole config as JSON text. *)
  val json : t -> string

  (** The keys that the task understands; any other key is an error. *)
  val keys : t -> string list -> unit

  val require : t -> string -> unit
  val text : t -> string -> default:string -> string
  val integer : ?least:int -> ?most:int -> t -> string -> default:int -> int
  val number : t -> string -> default:float -> float
  val boolean : t -> string -> default:bool -> bool

  (** In JSON ["250ms"], ["10s"], ["1.5h"]. *)
  val duration : t -> string -> default:int -> int

  (** Reads a duration that does not stand in the config; [None] if it is none. *)
  val parse_duration : t -> string -> int option

  val count : t -> string -> int
end

(** The process's signals as a service; a plugin installs no handler of its own. *)
module Signals : sig
  type signal = Interrupt | Terminate | Hangup | User1 | User2

  (** Has this execution woken by these signals; replaces an earlier subscription. False if the embedding program
      handles signals itself. *)
  val subscribe : t -> signal list -> bool

  (** The signals that have come since the last call. *)
  val take : t -> signal list
end
