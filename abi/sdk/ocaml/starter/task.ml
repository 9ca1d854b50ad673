(* @NAME@: greets at an interval, until it is stopped or has greeted "times" times. *)
open Taskhost

let read_config task =
  Config.keys task [ "greeting"; "every"; "times"; "end" ];
  let greeting = Config.text task "/greeting" ~default:"hello from OCaml" in
  let every = Config.duration task "/every" ~default:second in
  let times = Config.integer task "/times" ~least:0 ~default:0 (* 0: unlimited *) in
  let finish =
    match Config.text task "/end" ~default:"ok" with
    | "ok" -> fun () -> Done
    | "error" -> fun () -> raise (Failed "was told to fail")
    | "panic" -> fun () -> failwith "was told to panic"
    | _ -> raise (Failed {|config: /end: must be "ok", "error" or "panic"|})
  in
  (greeting, every, times, finish)

(* Called by [taskhost check], and before the host starts. *)
let check task = ignore (read_config task)

(* Called for each execution; the function that it returns is called once after the start, then after each wake: by
   the timer, by the stop, or for no reason at all. *)
let greeter task =
  let greeting, every, times, finish = read_config task in
  let greeted = ref 0 in
  let next = ref 0 (* time of the next greeting *) in
  let sleep () =
    wake_at task !next;
    Pending
  in
  fun () ->
    let time = now task in
    if stop_requested task then Done
    else if time < !next then sleep ()
    else begin
      info task "%s" greeting;
      ready task;
      incr greeted;
      next := time + every;
      if !greeted = times then finish () else sleep ()
    end

let () = polled "@NAME@" greeter ~check ~version:"1.0" ~description:"greets at an interval"
