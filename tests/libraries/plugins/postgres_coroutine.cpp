// The same as postgres.c, as a coroutine. It connects by name, on a thread that may wait for it.
#include <libpq-fe.h>

#include <memory>
#include <string>
#include <taskhost/sdk/config.hpp>
#include <taskhost/sdk/coroutine.hpp>

namespace {

namespace sdk = taskhost::sdk;
using namespace std::chrono_literals;

struct Release {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
  void operator()(PGnotify* note) const { PQfreemem(note); }
};
using Connection = std::unique_ptr<PGconn, Release>;

sdk::Failure failure(PGconn* connection) { return sdk::Failure(PQerrorMessage(connection)); }

sdk::Async<> ask(PGconn* connection, const char* query) {
  if (PQsendQuery(connection, query) == 0) throw failure(connection);
  while (PQflush(connection) == 1) co_await sdk::writable(PQsocket(connection));
  for (;;) {
    while (PQisBusy(connection) != 0) {
      co_await sdk::readable(PQsocket(connection));
      if (PQconsumeInput(connection) == 0) throw failure(connection);
    }
    const std::unique_ptr<PGresult, Release> result(PQgetResult(connection));
    if (!result) co_return;
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) throw failure(connection);
  }
}

sdk::Async<> receive(sdk::Context context, PGconn* connection) {
  for (;;) {
    while (const auto note = std::unique_ptr<PGnotify, Release>(PQnotifies(connection))) {
      context.debug(note->extra);
      context.ready();
      context.heartbeat();
    }
    co_await sdk::readable(PQsocket(connection));
    if (PQconsumeInput(connection) == 0) throw failure(connection);
  }
}

sdk::Task listen(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("address every");
  const auto every = config.duration("/every", 1s);
  const auto connect = [address = std::string(config.text("/address")) + " connect_timeout=5"] {
    return Connection(PQconnectdb(address.c_str()));
  };
  const Connection owner = co_await sdk::offload(connect);
  PGconn* const connection = owner.get();
  if (PQstatus(connection) != CONNECTION_OK) throw failure(connection);
  PQsetNoticeProcessor(
      connection, [](void*, const char*) {}, nullptr);  // it would print it to stderr
  PQsetnonblocking(connection, 1);
  const auto listening = co_await sdk::with_timeout(5s, ask(connection, "LISTEN taskhost"));
  if (!listening) throw sdk::Failure("no answer in 5 s");
  for (;;) {
    const auto answer = co_await sdk::with_timeout(5s, ask(connection, "NOTIFY taskhost, 'hello'"));
    if (!answer) throw sdk::Failure("no answer in 5 s");
    co_await sdk::with_timeout(every, receive(context, connection));
  }
}

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::coroutine<listen>("postgres_coroutine"));
