(* The task of services_test.cpp in OCaml. *)
open Taskhost

external descriptor : int -> Unix.file_descr = "%identity"

let read_config task =
  match int_of_string_opt (Config.json task) with
  | Some number -> descriptor number
  | None -> raise (Failed "not a descriptor")

let check task = ignore (read_config task)

let start task =
  let fd = read_config task in
  (match watch task (descriptor (-1)) Read with
  | () -> ()
  | exception Refused Closed -> info task "refused");
  watch task fd Read;
  List.iter
    (fun text ->
      match Config.parse_duration task text with
      | Some duration -> info task "%d ns" duration
      | None -> info task "no duration")
    [ "250ms"; "soon" ];
  status task "working";
  on_drop task (fun () -> info task "dropped");
  let answer = offload task (fun () -> Unix.sleepf 0.001; 6 * 7) in
  let polls = ref 0 and is_told = ref false and ends = ref 0 in
  let poll () =
    incr polls;
    if !polls = 1 then begin
      info task "again";
      Again
    end
    else begin
      (match result answer with
      | Some number when not !is_told ->
          is_told := true;
          info task "answer %d" number
      | _ -> ());
      match take_ready task with
      | [ { fd = ready; readable = true; _ } ] when ready = fd ->
          info task "readable";
          forget task fd;
          Done
      | _ -> Pending
    end
  in
  let finish () =
    incr ends;
    if !ends = 1 then Pending
    else begin
      info task "finished";
      Done
    end
  in
  (poll, finish)

let () = polled_with_finish "services" start ~check
