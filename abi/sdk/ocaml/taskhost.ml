(* The OCaml side of the bindings; taskhost.mli documents it. taskhost_stubs.c calls the host for it; the host calls
   taskhost_runtime.c, which calls the three functions at the end. *)

(* Pointers with their lowest bit set, so that the GC treats them as integers. An exec is 0 once its execution has been
   dropped. *)
type exec = int
type services = int

type t = { mutable exec : exec; mutable on_drop : (unit -> unit) list }

exception Failed of string

type step = Pending | Done

type level = Trace | Debug | Info | Warning | Error

external log_ : exec -> level -> string -> unit = "taskhost_ml_log" [@@noalloc]
external fail_ : exec -> string -> unit = "taskhost_ml_fail" [@@noalloc]
external config_ : exec -> string = "taskhost_ml_config"
external task_name_ : exec -> string = "taskhost_ml_task_name"
external execution_number_ : exec -> int = "taskhost_ml_execution_number" [@@noalloc]
external stop_requested_ : exec -> bool = "taskhost_ml_stop_requested" [@@noalloc]
external now_ : exec -> int = "taskhost_ml_now" [@@noalloc]
external ready_ : exec -> unit = "taskhost_ml_ready" [@@noalloc]
external heartbeat_ : exec -> unit = "taskhost_ml_heartbeat" [@@noalloc]
external wake_at_ : exec -> int -> unit = "taskhost_ml_wake_at" [@@noalloc]
external wake_after_ : exec -> int -> unit = "taskhost_ml_wake_after" [@@noalloc]
external wake_on_fd_ : exec -> Unix.file_descr -> int -> bool = "taskhost_ml_wake_on_fd" [@@noalloc]
external services_ : exec -> services = "taskhost_ml_services" [@@noalloc]
external waker_ : exec -> int64 = "taskhost_ml_waker"
external wake_ : services -> int64 -> unit = "taskhost_ml_wake" [@@noalloc]
external wait_ : exec -> int -> int = "taskhost_ml_wait"

let alive task = if task.exec = 0 then invalid_arg "Taskhost: the execution has ended" else task.exec

let log task level text = log_ (alive task) level text
let info task format = Printf.ksprintf (log task Info) format
let warning task format = Printf.ksprintf (log task Warning) format
let task_name task = task_name_ (alive task)
let execution_number task = execution_number_ (alive task)
let stop_requested task = stop_requested_ (alive task)
let now task = now_ (alive task)
let ready task = ready_ (alive task)
let heartbeat task = heartbeat_ (alive task)
let on_drop task give_back = task.on_drop <- give_back :: task.on_drop

let microsecond = 1_000
let millisecond = 1_000_000
let second = 1_000_000_000
let never = max_int

let wake_at task time = wake_at_ (alive task) time
let wake_after task delay = wake_after_ (alive task) delay

let wake_on_fd task fd ~readable ~writable =
  wake_on_fd_ (alive task) fd ((if readable then 1 else 0) lor if writable then 2 else 0)

type waker = { services : services; value : int64 }

let waker task =
  let exec = alive task in
  { services = services_ exec; value = waker_ exec }

let wake waker = wake_ waker.services waker.value

type woken = { stop : bool; wake : bool; time : bool }

let wait_until task time =
  let bits = wait_ (alive task) time in
  { stop = bits land 1 <> 0; wake = bits land 2 <> 0; time = bits land 4 <> 0 }

let wait_for task delay =
  let now = now task in
  wait_until task (if delay < never - now then now + delay else never)

module Config = struct
  type 'a answer = Wrong | No_reader | Answer of 'a [@@warning "-37"] (* created in C *)

  external keys_ : exec -> string -> unit answer = "taskhost_ml_config_keys"
  external require_ : exec -> string -> unit answer = "taskhost_ml_config_require"
  external text_ : exec -> string -> string -> string answer = "taskhost_ml_config_text"
  external integer_ : exec -> string -> int -> int -> int -> int answer = "taskhost_ml_config_integer"
  external number_ : exec -> string -> float -> float answer = "taskhost_ml_config_number"
  external boolean_ : exec -> string -> bool -> bool answer = "taskhost_ml_config_boolean"
  external duration_ : exec -> string -> int -> int answer = "taskhost_ml_config_duration"
  external count_ : exec -> string -> int answer = "taskhost_ml_config_count"

  let answer = function
    | Answer value -> value
    | Wrong -> raise (Failed "") (* the host already has the text *)
    | No_reader -> raise (Failed "this host reads no configs (extension taskhost.config)")

  let json task = config_ (alive task)
  let keys task known = answer (keys_ (alive task) (String.concat " " known))
  let require task pointer = answer (require_ (alive task) pointer)
  let text task pointer ~default = answer (text_ (alive task) pointer default)

  let integer ?(least = min_int) ?(most = max_int) task pointer ~default =
    answer (integer_ (alive task) pointer least most default)

  let number task pointer ~default = answer (number_ (alive task) pointer default)
  let boolean task pointer ~default = answer (boolean_ (alive task) pointer default)
  let duration task pointer ~default = answer (duration_ (alive task) pointer default)
  let count task pointer = answer (count_ (alive task) pointer)
end

module Signals = struct
  type signal = Interrupt | Terminate | Hangup | User1 | User2

  external subscribe_ : exec -> int -> bool = "taskhost_ml_signals_subscribe" [@@noalloc]
  external take_ : exec -> int = "taskhost_ml_signals_take" [@@noalloc]

  let bit = function Interrupt -> 1 | Terminate -> 2 | Hangup -> 4 | User1 -> 8 | User2 -> 16

  let subscribe task signals =
    subscribe_ (alive task) (List.fold_left (fun bits signal -> bits lor bit signal) 0 signals)

  let take task =
    let bits = take_ (alive task) in
    List.filter (fun signal -> bits land bit signal <> 0) [ Interrupt; Terminate; Hangup; User1; User2 ]
end

(* The statuses of plugin.h. *)
let ok = 0
let pending = 1
let error = 2
let panic = 3

(* The start of each task, in the order of its factories. *)
let starts : (t -> unit -> int) array ref = ref [||]

external add_factory : string -> string -> string -> bool -> unit = "taskhost_ml_add_factory"

let add version description name is_blocking start =
  add_factory name (Option.value version ~default:"") (Option.value description ~default:"") is_blocking;
  starts := Array.append !starts [| start |]

let polled ?version ?description name start =
  add version description name false (fun task ->
      let poll = start task in
      fun () -> match poll () with Pending -> pending | Done -> ok)

let blocking ?version ?description name start =
  add version description name true (fun task ->
      let run = start task in
      fun () ->
        run ();
        ok)

let describe = function
  | Failure text when text <> "" -> text
  | e -> Printexc.to_string e

(* The outcome of an execution that an exception has left. *)
let outcome exec = function
  | Failed text ->
      if text <> "" then fail_ exec text;
      error
  | e ->
      fail_ exec (describe e);
      panic

(* Called by taskhost_runtime.c. Only [call] is called often. *)

type execution = { task : t; step : unit -> int }
type started = Ended of int | Started of execution

let drop { task; _ } =
  let give_back = task.on_drop in
  task.on_drop <- [];
  List.iter
    (fun f -> try f () with e -> log_ task.exec Error ("exception when dropped: " ^ describe e))
    give_back;
  task.exec <- 0

let start index exec =
  let task = { exec; on_drop = [] } in
  match !starts.(index) task with
  | step -> Started { task; step }
  | exception e ->
      let ended = outcome exec e in
      drop { task; step = (fun () -> ok) };
      Ended ended

let call { task; step } = try step () with e -> outcome task.exec e

let () =
  Callback.register "taskhost.start" start;
  Callback.register "taskhost.call" call;
  Callback.register "taskhost.drop" drop
