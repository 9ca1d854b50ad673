(* The OCaml side of the bindings; taskhost.mli documents it. taskhost_stubs.c calls the host for it; the host calls
   taskhost_runtime.c, which calls the functions at the end. *)

(* Pointers with their lowest bit set, so that the GC treats them as integers. An exec is 0 once its execution has been
   dropped. *)
type exec = int
type services = int

type t = {
  mutable exec : exec;
  mutable on_drop : (unit -> unit) list;
  mutable offloaded : int; (* works that the host has not yet told *)
}

exception Failed of string

type refusal = Wrong_call | Wrong_argument | Closed | Always_ready | Loop | No_descriptor | No_memory | No_thread
  | Many_watchers

exception Refused of refusal

type step = Pending | Again | Done

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
external status_ : exec -> string -> unit = "taskhost_ml_status" [@@noalloc]
external watch_ : exec -> Unix.file_descr -> int -> int = "taskhost_ml_watch" [@@noalloc]
external take_ready_ : exec -> int array = "taskhost_ml_take_ready"
external offload_ : exec -> (unit -> unit) -> int = "taskhost_ml_offload"
external wait_fd_ : exec -> Unix.file_descr = "taskhost_ml_wait_fd" [@@noalloc]
external number_of : Unix.file_descr -> int = "%identity"
external descriptor_of : int -> Unix.file_descr = "%identity"
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
let status task format = Printf.ksprintf (status_ (alive task)) format
let on_drop task give_back = task.on_drop <- give_back :: task.on_drop

let microsecond = 1_000
let millisecond = 1_000_000
let second = 1_000_000_000
let never = max_int

let wake_at task time = wake_at_ (alive task) time
let wake_after task delay = wake_after_ (alive task) delay

let refusal = function
  | 17 -> Wrong_argument
  | 18 -> Closed
  | 19 -> Always_ready
  | 20 -> Loop
  | 21 -> No_descriptor
  | 22 -> No_memory
  | 23 -> No_thread
  | 24 -> Many_watchers
  | _ -> Wrong_call

let expect_accepted result = if result <> 0 then raise (Refused (refusal result))

type interest = Read | Write | Read_write

let watch task fd interest =
  expect_accepted (watch_ (alive task) fd (match interest with Read -> 1 | Write -> 2 | Read_write -> 3))

let forget task fd = ignore (watch_ (alive task) fd 0)

type ready = { fd : Unix.file_descr; readable : bool; writable : bool; broken : bool }

(* Up to 64 pairs of a tag, which is the descriptor's number, and bits. Work that is done has put its result where it
   belongs, and needs only to be counted. *)
let take task =
  let found = take_ready_ (alive task) in
  let rec sort at descriptors =
    if at < 0 then descriptors
    else
      let bits = found.(at + 1) in
      let has bit = bits land bit <> 0 in
      if has 8 then begin
        task.offloaded <- task.offloaded - 1;
        sort (at - 2) descriptors
      end
      else
        let fd = descriptor_of found.(at) in
        sort (at - 2) ({ fd; readable = has 1; writable = has 2; broken = has 4 } :: descriptors)
  in
  (Array.length found = 128, sort (Array.length found - 2) [])

let take_ready task = snd (take task)

(* Before a poll. Descriptors that are ready come again. *)
let rec take_offloaded task =
  if task.offloaded > 0 then begin
    let before = task.offloaded in
    let is_full, _ = take task in
    if is_full && task.offloaded < before then take_offloaded task
  end

type 'a outcome = Value of 'a | Exception of exn
type 'a work = 'a outcome option ref

let offload task f =
  let work = ref None in
  let run () = work := Some (match f () with value -> Value value | exception e -> Exception e) in
  expect_accepted (offload_ (alive task) run);
  task.offloaded <- task.offloaded + 1;
  work

let result work =
  match !work with None -> None | Some (Value value) -> Some value | Some (Exception e) -> raise e

type waker = { services : services; value : int64 }

let waker task =
  let exec = alive task in
  { services = services_ exec; value = waker_ exec }

let wake waker = wake_ waker.services waker.value

type woken = { stop : bool; wake : bool; time : bool }

let wait_until task time =
  let bits = wait_ (alive task) time in
  { stop = bits land 1 <> 0; wake = bits land 2 <> 0; time = bits land 4 <> 0 }

let wait_fd task =
  let fd = wait_fd_ (alive task) in
  if number_of fd < 0 then None else Some fd

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
  external parse_duration_ : exec -> string -> int answer = "taskhost_ml_parse_duration"
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

  let parse_duration task text =
    match parse_duration_ (alive task) text with Wrong -> None | other -> Some (answer other)

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
let again = 4

(* The start of each task, in the order of its factories. *)
let starts : (t -> (unit -> int) * (unit -> int)) array ref = ref [||]
let checks : (t -> unit) array ref = ref [||]

(* Which functions a factory has: bit 1, run instead of poll; 2, finish; 4, check. *)
external add_factory : string -> string -> string -> int -> unit = "taskhost_ml_add_factory"

let add version description check name bits start =
  add_factory name (Option.value version ~default:"") (Option.value description ~default:"")
    (bits lor if check = None then 0 else 4);
  starts := Array.append !starts [| start |];
  checks := Array.append !checks [| Option.value check ~default:ignore |]

let status_of = function Pending -> pending | Again -> again | Done -> ok
let no_finish () = ok

let polls task poll () =
  take_offloaded task;
  status_of (poll ())

let polled ?version ?description ?check name start =
  add version description check name 0 (fun task -> (polls task (start task), no_finish))

let polled_with_finish ?version ?description ?check name start =
  add version description check name 2 (fun task ->
      let poll, finish = start task in
      (polls task poll, polls task finish))

let blocking ?version ?description ?check name start =
  add version description check name 1 (fun task ->
      let run = start task in
      ( (fun () ->
          run ();
          ok),
        no_finish ))

let words_of = function
  | Wrong_call -> "not from here, or not for this kind of task"
  | Wrong_argument -> "an unknown bit"
  | Closed -> "the descriptor is not open"
  | Always_ready -> "the descriptor is always ready, as files are"
  | Loop -> "the descriptor is a set that would contain itself"
  | No_descriptor -> "the process has no descriptor left"
  | No_memory -> "no memory"
  | No_thread -> "the host has no thread left for work that blocks"
  | Many_watchers -> "as many executions watch it as the system allows"

let describe = function
  | Failure text when text <> "" -> text
  | Refused refusal -> "the host refuses: " ^ words_of refusal
  | e -> Printexc.to_string e

(* The outcome of an execution that an exception has left. *)
let outcome exec = function
  | Failed text ->
      if text <> "" then fail_ exec text;
      error
  | Refused _ as e ->
      fail_ exec (describe e);
      error
  | e ->
      fail_ exec (describe e);
      panic

(* Called by taskhost_runtime.c. Only [call] is called often. *)

type execution = { task : t; step : unit -> int; end_ : unit -> int }
type started = Ended of int | Started of execution

let drop { task; _ } =
  let give_back = task.on_drop in
  task.on_drop <- [];
  List.iter
    (fun f -> try f () with e -> log_ task.exec Error ("exception when dropped: " ^ describe e))
    give_back;
  task.exec <- 0

let start index exec =
  let task = { exec; on_drop = []; offloaded = 0 } in
  match !starts.(index) task with
  | step, end_ -> Started { task; step; end_ }
  | exception e ->
      let ended = outcome exec e in
      drop { task; step = no_finish; end_ = no_finish };
      Ended ended

let call { task; step; _ } = try step () with e -> outcome task.exec e

(* The outcome is already decided. *)
let finish { task; end_; _ } =
  try end_ ()
  with e ->
    log_ task.exec Error ("exception in finish: " ^ describe e);
    ok

let check index exec =
  let task = { exec; on_drop = []; offloaded = 0 } in
  let result = match !checks.(index) task with () -> ok | exception e -> outcome exec e in
  drop { task; step = no_finish; end_ = no_finish };
  result

let () =
  Callback.register "taskhost.start" start;
  Callback.register "taskhost.call" call;
  Callback.register "taskhost.finish" finish;
  Callback.register "taskhost.drop" drop;
  Callback.register "taskhost.check" check
