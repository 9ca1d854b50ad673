#!/usr/bin/env escript
%% -*- erlang -*-
%%! -noshell
%% One real OTP supervisor at a time, controlled over stdin and stdout: one command per line, one answer per line.
%%
%%   open STRATEGY INTENSITY PERIOD NAME:RESTART:ENDING:STOP_TIMEOUT...   up | failed REASON
%%   fail NAME N         the next N starts of this child fail; before open, too   ok
%%   exit NAME REASON    it ends by itself; waits for its death            ok
%%   suspend, resume     exits wait in the supervisor's message queue      ok
%%   terminate NAME      supervisor:terminate_child                        ok | not_found | …
%%   restart NAME        supervisor:restart_child                          ok | running | not_found | failed | …
%%   stop                what a parent does: exit(Supervisor, shutdown)    ok
%%   release NAME        a child whose ending is `held` ends               ok
%%   await KIND:NAME     until this has been recorded since the last settle   ok
%%   settle              waits until the supervisor has nothing left to do, then
%%                       up NAME,NAME…|EVENT… or down REASON|EVENT…: what lives; what has been recorded since the last
%%
%% Events are exit:NAME, ask:NAME, end:NAME, start:NAME and failed:NAME, in the order in which they happened: a child
%% tells the recorder, and waits for its answer, before it lets its supervisor go on.
-module(otp_side).
-behaviour(supervisor).
-mode(compile).
-export([main/1, init/1, start_child/3, child_init/4]).

main(_) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    loop(none, spawn_link(fun() -> recorder(#{events => [], left => #{}, pids => #{}, stubborn => []}) end)).

loop(Sup, Rec) ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            {Answer, Next} = command(string:lexemes(string:trim(Line), " "), Sup, Rec),
            io:put_chars([Answer, "\n"]),
            loop(Next, Rec)
    end.

command(["open", Strategy, Intensity, Period | Children], none, Rec) ->
    Flags = #{strategy => list_to_atom(Strategy), intensity => list_to_integer(Intensity),
              period => list_to_integer(Period)},
    case supervisor:start_link(?MODULE, {Flags, [spec(C, Rec) || C <- Children]}) of
        {ok, Sup} -> {"up", Sup};
        {error, Reason} ->
            receive {'EXIT', _, Reason} -> ok after 200 -> ok end, % from OTP 26 on start_link takes it itself
            ask(Rec, forget_failures),
            {"failed " ++ text(Reason), none}
    end;
command(["fail", Name, N], Sup, Rec) -> {text(ask(Rec, {fail, Name, list_to_integer(N)})), Sup};
command(["exit", Name, Reason], Sup, Rec) ->
    Pid = ask(Rec, {pid, Name}),
    Monitor = monitor(process, Pid),
    ask(Rec, {exits, Name, Pid}),
    case Reason of
        "killed" -> exit(Pid, kill);
        _ -> Pid ! {do, Reason}
    end,
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    await_queued(Sup, Pid),
    {"ok", Sup};
command(["suspend"], Sup, _) -> {text(sys:suspend(Sup)), Sup};
command(["resume"], Sup, _) -> {text(sys:resume(Sup)), Sup};
command(["terminate", Name], Sup, _) -> {text(supervisor:terminate_child(Sup, Name)), Sup};
command(["restart", Name], Sup, _) ->
    case supervisor:restart_child(Sup, Name) of
        {ok, _} -> {"ok", Sup};
        {error, planned} -> {"failed", Sup};
        {error, Other} -> {text(Other), Sup}
    end;
command(["stop"], Sup, _) ->
    exit(Sup, shutdown),
    {"ok", Sup};
command(["release", Name], Sup, Rec) ->
    Pid = ask(Rec, {pid, Name}),
    Pid ! release,
    {"ok", Sup};
command(["await", Event], Sup, Rec) ->
    await(fun() -> lists:member(Event, ask(Rec, events)) end),
    {"ok", Sup};
command(["settle"], Sup, Rec) ->
    {State, Next} = settle(Sup),
    Events = ask(Rec, take),
    Next =:= none andalso ask(Rec, forget_failures),
    {[State, "|", lists:join(" ", Events)], Next}.

%% A suspended supervisor has the exit in its queue; one that is not may have processed it already.
await_queued(Sup, Pid) ->
    await(fun() ->
        case process_info(Sup, [messages, links]) of
            [{messages, Messages}, {links, Links}] ->
                lists:any(fun({'EXIT', P, _}) -> P =:= Pid; (_) -> false end, Messages)
                    orelse not lists:member(Pid, Links);
            undefined -> true
        end
    end).

%% It has nothing left to do when it answers, knows no dead child, and is restarting none.
settle(none) -> {"down none", none};
settle(Sup) ->
    try supervisor:which_children(Sup) of
        Children ->
            AtRest = fun({_, Pid, _, _}) -> Pid =:= undefined orelse (is_pid(Pid) andalso is_process_alive(Pid)) end,
            case lists:all(AtRest, Children) of
                true -> {["up ", lists:join(",", lists:sort([Id || {Id, Pid, _, _} <- Children, is_pid(Pid)]))], Sup};
                false -> timer:sleep(1), settle(Sup)
            end
    catch
        exit:_ -> receive {'EXIT', Sup, Reason} -> {["down ", text(Reason)], none} end
    end.

await(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(1), await(Condition)
    end.

text(ok) -> "ok";
text({error, Reason}) -> text(Reason);
text(Term) -> re:replace(io_lib:format("~0p", [Term]), "\\s+", " ", [global, {return, list}]).

%% --- the supervisor and its children --------------------------------------------------------------------------------

init(Spec) -> {ok, Spec}.

spec(Text, Rec) ->
    [Name, Restart, Ending, Timeout] = string:lexemes(Text, ":"),
    #{id => Name, start => {?MODULE, start_child, [Rec, Name, Ending]}, restart => list_to_atom(Restart),
      shutdown => list_to_integer(Timeout)}.

start_child(Rec, Name, Ending) -> proc_lib:start_link(?MODULE, child_init, [self(), Rec, Name, Ending]).

child_init(Parent, Rec, Name, Ending) ->
    process_flag(trap_exit, true),
    case ask(Rec, {start, Name, self(), Ending}) of
        fail -> exit(planned);
        ok ->
            proc_lib:init_ack({ok, self()}),
            child(Parent, Rec, Name, Ending)
    end.

child(Parent, Rec, Name, Ending) ->
    receive
        {do, "normal"} -> exit(normal);
        {do, "shutdown"} -> exit(shutdown);
        {do, "shutdown_term"} -> exit({shutdown, done});
        {do, "crash"} -> error(planned);
        {do, "failure"} -> exit(planned);
        {'EXIT', Parent, shutdown} ->
            ask(Rec, {asked, Name, self()}),
            ends(Rec, Name, Ending)
    end.

ends(_, _, "stubborn") ->
    receive never -> ok end;
ends(Rec, Name, "held") ->
    receive release -> ends(Rec, Name, "orderly") end;
ends(Rec, Name, Ending) ->
    ask(Rec, {ends, Name}),
    case Ending of
        "orderly" -> exit(shutdown);
        "failing" -> exit(planned)
    end.

%% --- the recorder ---------------------------------------------------------------------------------------------------

ask(Rec, Question) ->
    Reference = make_ref(),
    Rec ! {self(), Reference, Question},
    receive {Reference, Answer} -> Answer end.

recorder(State) ->
    receive
        {From, Reference, Question} ->
            {Answer, Next} = answer(Question, note_killed(State)),
            From ! {Reference, Answer},
            recorder(Next)
    end.

%% A stubborn child is killed, and can't report that; perhaps it could not even report that it was asked. Whatever is
%% reported next comes after it.
note_killed(State = #{stubborn := Stubborn, events := Events}) ->
    {Alive, Dead} = lists:partition(fun({_, Pid, _}) -> is_process_alive(Pid) end, Stubborn),
    Told = lists:append([["end:" ++ Name | ["ask:" ++ Name || not Asked]] || {Name, _, Asked} <- Dead]),
    State#{stubborn := Alive, events := Told ++ Events}.

answer(forget_failures, State) -> {ok, State#{left := #{}}};
answer({exits, Name, Pid}, State = #{stubborn := Stubborn, events := Events}) ->
    {ok, State#{stubborn := lists:keydelete(Pid, 2, Stubborn), events := ["exit:" ++ Name | Events]}};
answer({asked, Name, Pid}, State = #{stubborn := Stubborn, pids := Pids, events := Events}) ->
    case {maps:get(Name, Pids), lists:keymember(Pid, 2, Stubborn)} of
        {{Pid, "stubborn"}, false} -> {ok, State};  % killed meanwhile, and noted
        _ ->
            {ok, State#{stubborn := lists:keyreplace(Pid, 2, Stubborn, {Name, Pid, true}),
                        events := ["ask:" ++ Name | Events]}}
    end;
answer({ends, Name}, State = #{events := Events}) -> {ok, State#{events := ["end:" ++ Name | Events]}};
answer({fail, Name, N}, State = #{left := Left}) -> {ok, State#{left := Left#{Name => N}}};
answer({start, Name, Pid, Ending}, State = #{left := Left, pids := Pids, stubborn := Stubborn, events := Events}) ->
    case maps:get(Name, Left, 0) of
        0 ->
            {ok, State#{pids := Pids#{Name => {Pid, Ending}},
                        stubborn := [{Name, Pid, false} || Ending =:= "stubborn"] ++ Stubborn,
                        events := ["start:" ++ Name | Events]}};
        N -> {fail, State#{left := Left#{Name => N - 1}, events := ["failed:" ++ Name | Events]}}
    end;
answer({pid, Name}, State = #{pids := Pids}) ->
    {Pid, _} = maps:get(Name, Pids),
    {Pid, State};
answer(events, State = #{events := Events}) -> {Events, State};
answer(take, State = #{events := Events}) -> {lists:reverse(Events), State#{events := []}}.
