#include "control/server.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <list>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "control/api.hpp"
#include "control/connection.hpp"
#include "control/page.hpp"
#include "taskhost/core/system_failure.hpp"
#include "taskhost_version.hpp"

namespace taskhost {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;

namespace {

using Protocol = Connection::Protocol;
using Error = boost::system::error_code;
using Request = http::request<http::string_body>;

constexpr std::size_t max_header_bytes = 16'384;
constexpr std::size_t max_body_bytes = 65'536;
constexpr std::size_t max_connections = 128;    // of each listener
constexpr std::size_t max_followers = 32;       // among all of them, so that operators find room
constexpr std::size_t max_tcp_followers = 24;   // if those are there already
constexpr auto first_request_time = 10s;        // for a whole request
constexpr auto next_request_time = 60s;         // the same, and the time before it
constexpr auto answer_time = 30s;               // for a reader to take an answer, and for each piece of records
constexpr std::size_t bytes_a_second = 16'384;  // which a reader has to take of a larger answer
constexpr auto closing_time = 300ms;            // for answers under way at the end
constexpr int longest_closing = 10;             // such times, as long as followers take something
constexpr auto accept_pause = 100ms;            // when the system refuses one
constexpr int snapshot_share = 16;              // the thread's part of a processor beyond which snapshots have to wait
constexpr std::chrono::nanoseconds free_time = 50ms;  // of it, at once
constexpr std::chrono::nanoseconds largest_debt = 1s;
constexpr auto longest_pause = 200ms;  // then one more is answered in any case
constexpr auto look_interval = 20ms;   // at a task whose operator waits for it
constexpr int looks_apart = 10;        // times as long as the last look took
constexpr auto longest_wait = 24h;
constexpr std::size_t records_at_once = 65'536;  // bytes
constexpr auto records_pause = 20ms;             // between such pieces, so that a storm's followers cost little
constexpr auto gone_interval = 1s;               // at most so long is somebody followed for who has hung up
constexpr auto heartbeat_interval = 15s;

auto into(Error& error) { return asio::redirect_error(asio::use_awaitable, error); }

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

int new_bell() {
  const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor < 0) throw boost::system::system_error(errno, boost::system::system_category(), "eventfd");
  return descriptor;
}

}  // namespace

class ControlServer::Implementation {
 public:
  Implementation(ControlledHost& host, ControlServerOptions options)
      : options_(std::move(options)), host_(host), api_(host, options_.name, options_.metrics_tasks) {
    if (options_.listen) listen_on_tcp();
    if (options_.control_descriptor >= 0) {  // last: if something fails, it remains the caller's
      local_.emplace(context_, asio::local::stream_protocol(), options_.control_descriptor);
    }
  }

  ~Implementation() {
    if (thread_.joinable()) {
      try {
        asio::post(context_, [this] { close(); });
      } catch (const std::bad_alloc&) {
        context_.stop();
      }
      thread_.join();
    }
    host_.kept_events().ring({});
    host_.kept_log().ring({});
  }

  void start() {
    accept_again();
    thread_ = new_thread([this] {
      ::pthread_setname_np(::pthread_self(), "th-api");
      run();
    });
  }

  const std::string& tcp_address() const noexcept { return tcp_address_; }

 private:
  void listen_on_tcp() {
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(options_.listen->address), options_.listen->port);
    tcp_.emplace(context_);
    tcp_->open(endpoint.protocol());
    tcp_->set_option(asio::socket_base::reuse_address(true));
    tcp_->bind(endpoint);
    tcp_->listen();
    const asio::ip::tcp::endpoint bound = tcp_->local_endpoint();
    const std::string address = bound.address().to_string();
    tcp_address_ = (bound.address().is_v6() ? '[' + address + ']' : address) + ':' + std::to_string(bound.port());
  }

  // What goes wrong with one connection, such as a lack of memory, ends that connection only.
  void run() {
    while (true) {
      try {
        context_.run();
        return;
      } catch (const std::bad_alloc&) {
        host_.tell("a request to the API was not answered: no memory is left");
      } catch (const std::exception& error) {
        host_.tell(error.what());
      }
      try {
        accept_again();
      } catch (const std::exception&) {
        std::this_thread::sleep_for(accept_pause);  // there is no memory even for that
      }
    }
  }

  void accept_again() {
    if (local_) accept_again(*local_, local_connections_);
    if (tcp_) accept_again(*tcp_, tcp_connections_);
  }
  template <class Acceptor>
  void accept_again(Acceptor& acceptor, Connections& connections) {
    if (connections.is_accepting) return;
    asio::co_spawn(context_, accept(acceptor, connections), [&connections](const std::exception_ptr& failure) {
      connections.is_accepting = false;
      if (failure) std::rethrow_exception(failure);
    });
    connections.is_accepting = true;
  }

  // Followers who still take what they are given have some more time to get all of it.
  void close_later(int times) {
    closing_timer_.expires_after(closing_time);
    closing_timer_.async_wait([this, times, written = pieces_written_](const Error&) {
      if (pieces_written_ == written || times == longest_closing) return context_.stop();
      close_later(times + 1);
    });
  }
  void close() {
    is_closing_ = true;
    Error ignored;
    if (local_) local_->close(ignored);
    if (tcp_) tcp_->close(ignored);
    for (Connections* const connections : {&local_connections_, &tcp_connections_}) {
      for (Connection& connection : connections->list) {
        if (connection.phase == Connection::Phase::asking) connection.close();
      }
    }
    wake_followers();
    close_later(0);
    stop_if_closed();
  }
  void stop_if_closed() {
    if (is_closing_ && local_connections_.list.empty() && tcp_connections_.list.empty()) context_.stop();
  }

  template <class Acceptor>
  asio::awaitable<void> accept(Acceptor& acceptor, Connections& connections) {
    asio::steady_timer pause(context_);
    while (!is_closing_) {
      Error error;
      // First somebody has to be there: the system refuses a descriptor also if nobody is.
      co_await acceptor.async_wait(Acceptor::wait_read, into(error));
      if (is_closing_) co_return;
      auto socket = co_await acceptor.async_accept(into(error));
      if (is_closing_) co_return;
      if (!error) {
        set_keep_alive(socket);
        std::string who = peer_address(socket);
        admit(Protocol::socket(std::move(socket)), std::move(who), connections);
        continue;
      }
      const bool is_short = error == asio::error::no_descriptors || error.value() == ENFILE;
      if (is_short && (tcp_connections_.make_room() || local_connections_.make_room())) continue;
      pause.expires_after(accept_pause);  // nothing helps, or the client is gone
      co_await pause.async_wait(into(error));
    }
  }

  void admit(Protocol::socket socket, std::string who, Connections& connections) {
    if (connections.list.size() >= max_connections && !connections.make_room()) return;
    connections.list.emplace_back(std::move(socket), std::move(who));
    const auto place = std::prev(connections.list.end());
    try {
      asio::co_spawn(context_, serve(*place), [this, &connections, place](const std::exception_ptr& failure) {
        connections.list.erase(place);
        stop_if_closed();
        if (failure) std::rethrow_exception(failure);
      });
    } catch (...) {
      connections.list.erase(place);
      throw;
    }
  }

  asio::awaitable<void> serve(Connection& connection) {
    const std::string stranger = connection.peer_problem();
    beast::flat_buffer buffer(max_header_bytes + max_body_bytes);
    auto time = std::chrono::steady_clock::duration(first_request_time);
    while (!is_closing_) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(max_header_bytes);
      parser.body_limit(max_body_bytes);
      connection.enter(Connection::Phase::asking);
      connection.stream.expires_after(time);
      Error error;
      co_await read(connection, buffer, parser, error);
      connection.enter(Connection::Phase::answering);
      if (error) {
        co_await refuse(connection, error);
        co_return;
      }
      const Request& request = parser.get();
      ApiAnswer answer;
      if (stranger.empty()) {
        answer = co_await answer_of(connection, request);
      } else {
        answer = Api::problem(403, stranger);
      }
      const bool keep = request.keep_alive() && stranger.empty() && !is_closing_;
      const bool head_only = request.method() == http::verb::head;
      if (answer.followed != nullptr && followers_.size() >= (connection.is_tcp ? max_tcp_followers : max_followers)) {
        answer = Api::problem(503, "too many clients follow this host already: end one of them, or ask without follow");
      }
      if (answer.records) {
        if (!co_await write_records(connection, answer, request.version(), keep, head_only)) co_return;
      } else if (!co_await write(connection, answer, request.version(), keep, head_only)) {
        co_return;
      }
      if (!keep) break;
      time = next_request_time;
    }
    connection.shut_down();
  }

  // Some clients send their body only once they have been told to.
  static asio::awaitable<void> read(Connection& connection, beast::flat_buffer& buffer,
                                    http::request_parser<http::string_body>& parser, Error& error) {
    co_await http::async_read_header(connection.stream, buffer, parser, into(error));
    if (error || parser.is_done()) co_return;
    constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    const bool waits = buffer.size() == 0 && parser.get().version() >= 11 &&
                       beast::iequals(parser.get()[http::field::expect], "100-continue");
    if (waits) {
      co_await asio::async_write(connection.stream, asio::buffer(go_on), into(error));
    }
    if (!error) {
      co_await http::async_read(connection.stream, buffer, parser, into(error));
    }
  }

  asio::awaitable<void> refuse(Connection& connection, const Error& error) {
    ApiAnswer answer;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      answer = Api::problem(431, "the request's head is too large");
    } else if (error == http::error::body_limit) {
      answer = Api::problem(413, "the request's body is too large: at most 65536 bytes");
    } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      answer = Api::problem(400, "this is no HTTP/1.1 request: " + error.message());
    } else {
      co_return;  // it is gone, or too slow
    }
    if (co_await write(connection, answer, 11, false, false)) connection.shut_down();
  }

  template <class Response>
  static void set_fields(Response& response, const ApiAnswer& answer) {
    response.set(http::field::server, "taskhost/" TASKHOST_VERSION);
    response.set(http::field::content_type, beast::string_view(answer.type.data(), answer.type.size()));
    response.set(http::field::cache_control, answer.is_page ? "no-cache" : "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    if (answer.is_page) {
      response.set(http::field::etag, beast::string_view(page.tag.data(), page.tag.size()));
      response.set("Content-Security-Policy", beast::string_view(page.policy.data(), page.policy.size()));
      response.set("X-Frame-Options", "DENY");
      response.set("Referrer-Policy", "no-referrer");
      response.set("Cross-Origin-Opener-Policy", "same-origin");
    }
  }

  // Counts those who follow the events, since only for them each single one is published.
  class Follower {
   public:
    Follower(Implementation& server, bool follows_events) : server_(server), follows_events_(follows_events) {
      server_.followers_.push_back(&timer_);
      if (follows_events_ && ++server_.event_followers_ == 1) server_.host_.follow_events(true);
    }
    ~Follower() {
      server_.followers_.remove(&timer_);
      if (follows_events_ && --server_.event_followers_ == 0) server_.host_.follow_events(false);
    }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    asio::steady_timer& timer() noexcept { return timer_; }

   private:
    Implementation& server_;
    const bool follows_events_;
    asio::steady_timer timer_{server_.context_};
  };

  void wake_followers() {
    for (asio::steady_timer* const timer : followers_) timer->cancel();
  }
  asio::awaitable<void> listen_to_bell() {
    while (!is_closing_) {
      Error error;
      co_await bell_.async_wait(asio::posix::stream_descriptor::wait_read, into(error));
      if (error) co_return;
      std::uint64_t count = 0;
      [[maybe_unused]] const auto size = ::read(bell_.native_handle(), &count, sizeof count);
      wake_followers();
    }
  }

  // Records, and then, if they are followed, those that come, until the host has stopped or the client hangs up.
  asio::awaitable<bool> write_records(Connection& connection, ApiAnswer& answer, unsigned version, bool keep,
                                      bool head_only) {
    http::response<http::empty_body> response{http::status::ok, version};
    set_fields(response, answer);
    response.set("X-Accel-Buffering", "no");  // nginx would hold events back
    const bool is_chunked = version >= 11;
    response.keep_alive(keep && is_chunked);
    response.chunked(is_chunked);
    connection.enter(Connection::Phase::taking);
    connection.stream.expires_after(answer_time);
    Error error;
    http::response_serializer<http::empty_body> serializer(response);
    co_await http::async_write_header(connection.stream, serializer, into(error));
    if (error || head_only) co_return !error && is_chunked;

    std::optional<Follower> follower;
    if (answer.followed != nullptr) {
      connection.enter(Connection::Phase::following);
      follower.emplace(*this, answer.followed == &host_.kept_events());
      if (!listens_to_bell_) {
        asio::co_spawn(context_, listen_to_bell(), [this](const std::exception_ptr&) { listens_to_bell_ = false; });
      }
      listens_to_bell_ = true;
    }
    auto last_word = std::chrono::steady_clock::now();
    asio::steady_timer pause(context_);
    while (true) {
      const bool is_last = !follower || is_closing_;
      const std::uint64_t former = answer.records->position();
      std::string text = answer.records->next(records_at_once);
      const bool is_dry = text.empty() && !answer.records->has_more();
      if ((is_dry && is_last) || (text.empty() && connection.is_gone())) break;
      const auto now = std::chrono::steady_clock::now();
      if (text.empty() && now - last_word >= heartbeat_interval) text = RecordStream::heartbeat(answer.format);
      if (!text.empty()) {
        last_word = now;
        ++pieces_written_;
        connection.stream.expires_after(answer_time);
        if (is_chunked) {
          co_await asio::async_write(connection.stream, http::make_chunk(asio::buffer(text)), into(error));
        } else {
          co_await asio::async_write(connection.stream, asio::buffer(text), into(error));
        }
        if (error) co_return false;
      }
      if (!is_dry || is_last) {
        // Others have their turn; and records that come one by one are not worth a piece each.
        const bool is_full = text.size() >= records_at_once || answer.records->has_more();
        pause.expires_after(is_full || is_last ? 0ms : records_pause);
        co_await pause.async_wait(into(error));
      } else if (answer.records->position() != former) {
        pause.expires_after(records_pause);
        co_await pause.async_wait(into(error));
      } else {
        follower->timer().expires_after(gone_interval);
        answer.followed->ring(bell_.native_handle());
        if (!answer.records->has_more() && !is_closing_) {
          co_await follower->timer().async_wait(into(error));
        }
      }
    }
    follower.reset();
    if (is_chunked) {
      connection.stream.expires_after(answer_time);
      co_await asio::async_write(connection.stream, http::make_chunk_last(), into(error));
    }
    co_return !error && is_chunked;
  }

  asio::awaitable<bool> write(Connection& connection, const ApiAnswer& answer, unsigned version, bool keep,
                              bool head_only) {
    const std::shared_ptr<const std::string> body = answer.body;  // shared: see ApiAnswer
    http::response<http::span_body<const char>> response{static_cast<http::status>(answer.status), version};
    set_fields(response, answer);
    if (!answer.allow.empty()) {
      response.set(http::field::allow, beast::string_view(answer.allow.data(), answer.allow.size()));
    }
    if (answer.status == 401) response.set(http::field::www_authenticate, "Bearer");
    response.keep_alive(keep);
    if (answer.status != 304) response.content_length(body->size());
    if (!head_only) response.body() = {body->data(), body->size()};
    connection.enter(Connection::Phase::taking);
    connection.taken = body.get();
    bound_taken({&local_connections_, &tcp_connections_});
    connection.stream.expires_after(answer_time + std::chrono::seconds(body->size() / bytes_a_second));
    Error error;
    http::response_serializer<http::span_body<const char>> serializer(response);
    if (head_only) {
      co_await http::async_write_header(connection.stream, serializer, into(error));
    } else {
      co_await http::async_write(connection.stream, serializer, into(error));
    }
    connection.taken = nullptr;
    co_return !error;
  }

  asio::awaitable<ApiAnswer> answer_of(Connection& connection, const Request& request) {
    const std::size_t hosts = request.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && request.version() >= 11)) {
      co_return Api::problem(400, "send one Host field in the request's head, such as Host: localhost");
    }
    const Routing routing = route(view(request.method_string()), view(request.target()));
    if (connection.is_tcp) {
      if (std::optional<ApiAnswer> refusal = tcp_refusal(request, routing.route)) co_return std::move(*refusal);
    }
    if (!routing.route) {
      co_return Api::problem(routing.problem.status, routing.problem.message, routing.problem.allow);
    }
    if (routing.route->call == ApiCall::events || routing.route->call == ApiCall::log) {
      co_return api_.records(*routing.route, headers_of(request));
    }
    if (routing.route->call == ApiCall::tasks || routing.route->call == ApiCall::metrics) {
      co_await afford(connection);
      if (connection.is_closed()) co_return Api::problem(503, "nobody waits for this answer any more");
    }
    std::optional<ApiWait> wait;
    ApiAnswer answer = api_.answer(*routing.route, connection.who, orders_of(connection, request), wait);
    if (answer.is_page && view(request[http::field::if_none_match]).find(page.tag) != std::string_view::npos) {
      answer.status = 304;
      answer.body = std::make_shared<const std::string>();
    }
    if (!wait) co_return answer;
    const auto limit = std::min<std::chrono::nanoseconds>(*routing.route->wait, longest_wait);
    const auto end = std::chrono::steady_clock::now() + limit;
    asio::steady_timer timer(context_);
    connection.enter(Connection::Phase::waiting);
    while (true) {
      const bool is_last = std::chrono::steady_clock::now() >= end || is_closing_ || connection.is_gone();
      const auto looked = std::chrono::steady_clock::now();
      if (std::optional<ApiAnswer> done = api_.look(*wait, is_last)) co_return std::move(*done);
      // A look at a task whose shard stands still takes a second, in which nobody else is answered.
      const auto now = std::chrono::steady_clock::now();
      const auto pause = std::max<std::chrono::nanoseconds>(look_interval, looks_apart * (now - looked));
      timer.expires_after(
          std::min<std::chrono::nanoseconds>(pause, std::max<std::chrono::nanoseconds>(end - now, 0ns)));
      Error ignored;
      co_await timer.async_wait(into(ignored));
    }
  }

  static RecordHeaders headers_of(const Request& request) {
    const bool wants_events = view(request[http::field::accept]).find("text/event-stream") != std::string_view::npos;
    return {.format = wants_events ? RecordFormat::server_sent_events : RecordFormat::json_lines,
            .last_event_id = view(request["Last-Event-ID"])};
  }

  // Many clients who ask for all tasks again and again would take the processors from these tasks: they wait instead
  // while this thread has used up its time, whatever for. But not even many small requests keep all of them waiting.
  asio::awaitable<void> afford(Connection& connection) {
    asio::steady_timer timer(context_);
    while (!is_closing_ && !connection.is_closed()) {
      const auto now = std::chrono::steady_clock::now();
      const std::chrono::nanoseconds used = thread_time();
      allowance_ += (now - counted_at_) / snapshot_share - (used - counted_);
      allowance_ = std::clamp<std::chrono::nanoseconds>(allowance_, -largest_debt, free_time);
      counted_at_ = now;
      counted_ = used;
      if (allowance_ > 0ns || now >= afforded_at_ + longest_pause) {
        afforded_at_ = now;
        co_return;
      }
      connection.enter(Connection::Phase::waiting);
      timer.expires_after(std::clamp<std::chrono::nanoseconds>(-allowance_ * snapshot_share, 1ms, 100ms));
      Error ignored;
      co_await timer.async_wait(into(ignored));
    }
  }
  static std::chrono::nanoseconds thread_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

  // Browsers send requests that pages of others make them send.
  std::optional<ApiAnswer> tcp_refusal(const Request& request, const std::optional<Route>& asked) const {
    if (!view(request.target()).starts_with('/')) return Api::problem(400, "send the path alone, such as /v1/host");
    // A page of others has no token, whatever name leads it here; the host's own page may have come through a proxy.
    if (!options_.token.empty() && has_token(request)) return std::nullopt;
    const std::string_view host = view(request[http::field::host]);
    if (!is_own_host(host)) {
      return Api::problem(403,
                          "this host answers to localhost and to literal addresses only, or to who sends its token");
    }
    if (asked && asked->call == ApiCall::page) return std::nullopt;  // knows nothing, and others may have links to it
    if (asked && asked->changes) {
      if (!options_.token.empty()) return Api::problem(401, "send the token: Authorization: Bearer TOKEN");
      return Api::problem(403,
                          "over TCP this host can only be looked at: run it with --listen-token-file to change that");
    }
    const std::string_view origin = view(request[http::field::origin]);
    const std::string_view site = view(request["Sec-Fetch-Site"]);
    const bool is_foreign = request.count(http::field::origin) > 1 || (!origin.empty() && !is_own_origin(origin, host));
    if (is_foreign || site == "cross-site" || site == "same-site") {
      return Api::problem(403, "pages of others may not ask");
    }
    return std::nullopt;
  }

  bool has_token(const Request& request) const {
    constexpr std::string_view scheme = "Bearer ";
    const std::string_view given = view(request[http::field::authorization]);
    return given.starts_with(scheme) && is_same_secret(given.substr(scheme.size()), options_.token);
  }
  std::string_view orders_of(const Connection& connection, const Request& request) const {
    if (!connection.is_tcp) return "accepted";
    if (options_.token.empty()) return "refused";
    return has_token(request) ? "accepted" : "token";
  }

  const ControlServerOptions options_;
  ControlledHost& host_;
  std::list<asio::steady_timer*> followers_;  // before the context, which destroys those who follow
  std::size_t event_followers_ = 0;
  asio::io_context context_{1};
  Api api_;
  std::optional<asio::local::stream_protocol::acceptor> local_;
  std::optional<asio::ip::tcp::acceptor> tcp_;
  std::string tcp_address_;
  Connections local_connections_;
  Connections tcp_connections_;
  asio::posix::stream_descriptor bell_{context_, new_bell()};  // rings when there are new records
  bool listens_to_bell_ = false;
  std::uint64_t pieces_written_ = 0;  // to those who want records
  asio::steady_timer closing_timer_{context_};
  bool is_closing_ = false;
  std::chrono::nanoseconds allowance_ = free_time;  // for snapshots
  std::chrono::nanoseconds counted_{};              // of this thread's time, when it was counted last
  std::chrono::steady_clock::time_point counted_at_{};
  std::chrono::steady_clock::time_point afforded_at_{};
  std::thread thread_;
};

ControlServer::ControlServer(ControlledHost& host, ControlServerOptions options)
    : implementation_(std::make_unique<Implementation>(host, std::move(options))) {}
ControlServer::~ControlServer() = default;
void ControlServer::start() { implementation_->start(); }
const std::string& ControlServer::tcp_address() const noexcept { return implementation_->tcp_address(); }

}  // namespace taskhost
