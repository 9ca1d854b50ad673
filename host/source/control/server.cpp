#include "control/server.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <list>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "control/api.hpp"
#include "taskhost/core/system_failure.hpp"
#include "taskhost_version.hpp"

namespace taskhost {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;

namespace {

using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;
using Error = boost::system::error_code;
using Request = http::request<http::string_body>;

constexpr std::size_t max_header_bytes = 16'384;
constexpr std::size_t max_body_bytes = 65'536;
constexpr std::size_t max_connections = 64;  // of each listener
constexpr auto first_request_time = 10s;     // for a whole request
constexpr auto next_request_time = 60s;      // the same, and the time before it
constexpr auto answer_time = 30s;            // for a reader to take a whole answer
constexpr auto closing_time = 300ms;         // for answers under way at the end
constexpr auto accept_pause = 100ms;         // when the system refuses one
constexpr auto look_interval = 20ms;         // at a task whose operator waits for it
constexpr auto longest_wait = 24h;

auto into(Error& error) { return asio::redirect_error(asio::use_awaitable, error); }

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

struct Connection {
  Connection(Protocol::socket socket, std::string address)
      : stream(std::move(socket)), who(std::move(address)), is_tcp(!who.empty()) {}

  Stream stream;
  std::string who;  // "user 1000, process 4711,", or an address
  const bool is_tcp;
  // It may be closed for a newer one, unless it is being answered.
  enum class Phase : std::uint8_t { asking, answering, waiting, taking };
  Phase phase = Phase::asking;
};
struct Connections {
  std::list<Connection> list;
  bool is_accepting = false;
};

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
      asio::post(context_, [this] { close(); });
      thread_.join();
    }
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

  void close() {
    is_closing_ = true;
    Error ignored;
    if (local_) local_->close(ignored);
    if (tcp_) tcp_->close(ignored);
    for (Connections* const connections : {&local_connections_, &tcp_connections_}) {
      for (Connection& connection : connections->list) {
        if (connection.phase == Connection::Phase::asking) connection.stream.close();
      }
    }
    closing_timer_.expires_after(closing_time);
    closing_timer_.async_wait([this](const Error&) { context_.stop(); });
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
      auto socket = co_await acceptor.async_accept(into(error));
      if (is_closing_) co_return;
      if (!error) {
        std::string who = peer_address(socket);
        admit(Protocol::socket(std::move(socket)), std::move(who), connections);
        continue;
      }
      pause.expires_after(accept_pause);  // no descriptor is left, or the client is gone
      co_await pause.async_wait(into(error));
    }
  }

  void admit(Protocol::socket socket, std::string who, Connections& connections) {
    if (connections.list.size() >= max_connections && !make_room(connections.list)) return;
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

  // Closes the oldest connection that waits for a request, or else for its client to take an answer, or else for a
  // task. False if all of them are being answered.
  static bool make_room(std::list<Connection>& list) {
    for (const Connection::Phase phase :
         {Connection::Phase::asking, Connection::Phase::taking, Connection::Phase::waiting}) {
      const auto found =
          std::find_if(list.begin(), list.end(), [&](const Connection& one) { return one.phase == phase; });
      if (found == list.end()) continue;
      found->phase = Connection::Phase::answering;
      found->stream.close();
      return true;
    }
    return false;
  }

  template <class Socket>
  static std::string peer_address(Socket& socket) {
    if constexpr (std::is_same_v<typename Socket::protocol_type, asio::ip::tcp>) {
      Error error;
      const auto endpoint = socket.remote_endpoint(error);
      return error ? "somebody" : "somebody at " + endpoint.address().to_string();
    }
    return {};
  }

  // Others may not even look: what tasks say may be secret. Empty if this peer may.
  static std::string peer_problem(Connection& connection) {
    if (connection.is_tcp) return {};
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connection.stream.socket().native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
      return "can't find out who you are";
    }
    connection.who = "user " + std::to_string(peer.uid) + ", process " + std::to_string(peer.pid) + ",";
    if (peer.uid == 0 || peer.uid == ::geteuid()) return {};
    return "this host belongs to user " + std::to_string(::geteuid()) + ", and you are user " +
           std::to_string(peer.uid) + ": ask as that user, or as root";
  }

  asio::awaitable<void> serve(Connection& connection) {
    const std::string stranger = peer_problem(connection);
    beast::flat_buffer buffer(max_header_bytes + max_body_bytes);
    auto time = std::chrono::steady_clock::duration(first_request_time);
    while (!is_closing_) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(max_header_bytes);
      parser.body_limit(max_body_bytes);
      connection.phase = Connection::Phase::asking;
      connection.stream.expires_after(time);
      Error error;
      co_await http::async_read(connection.stream, buffer, parser, into(error));
      connection.phase = Connection::Phase::answering;
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
      if (!co_await write(connection, answer, request.version(), keep, request.method() == http::verb::head)) co_return;
      if (!keep) break;
      time = next_request_time;
    }
    shut_down(connection);
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
    if (co_await write(connection, answer, 11, false, false)) shut_down(connection);
  }

  // Whether the client has hung up, or the connection was closed for a newer one.
  static bool is_gone(Connection& connection) {
    if (!connection.stream.socket().is_open()) return true;
    pollfd looked{.fd = connection.stream.socket().native_handle(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&looked, 1, 0) > 0;
  }

  static void shut_down(Connection& connection) {
    Error ignored;
    connection.stream.socket().shutdown(Protocol::socket::shutdown_send, ignored);
  }

  asio::awaitable<bool> write(Connection& connection, const ApiAnswer& answer, unsigned version, bool keep,
                              bool head_only) {
    const std::shared_ptr<const std::string> body = answer.body;  // shared: see ApiAnswer
    http::response<http::span_body<const char>> response{static_cast<http::status>(answer.status), version};
    response.set(http::field::server, "taskhost/" TASKHOST_VERSION);
    response.set(http::field::content_type, beast::string_view(answer.type.data(), answer.type.size()));
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    if (!answer.allow.empty()) {
      response.set(http::field::allow, beast::string_view(answer.allow.data(), answer.allow.size()));
    }
    if (answer.status == 401) response.set(http::field::www_authenticate, "Bearer");
    response.keep_alive(keep);
    response.content_length(body->size());
    if (!head_only) response.body() = {body->data(), body->size()};
    connection.phase = Connection::Phase::taking;
    connection.stream.expires_after(answer_time);
    Error error;
    http::response_serializer<http::span_body<const char>> serializer(response);
    if (head_only) {
      co_await http::async_write_header(connection.stream, serializer, into(error));
    } else {
      co_await http::async_write(connection.stream, serializer, into(error));
    }
    co_return !error;
  }

  asio::awaitable<ApiAnswer> answer_of(Connection& connection, const Request& request) {
    const Routing routing = route(view(request.method_string()), view(request.target()));
    if (connection.is_tcp) {
      const bool changes = routing.route && routing.route->changes;
      if (std::optional<ApiAnswer> refusal = tcp_refusal(request, changes)) co_return std::move(*refusal);
    }
    if (!routing.route) {
      co_return Api::problem(routing.problem.status, routing.problem.message, routing.problem.allow);
    }
    std::optional<ApiWait> wait;
    ApiAnswer answer = api_.answer(*routing.route, connection.who, wait);
    if (!wait) co_return answer;
    const auto limit = std::min<std::chrono::nanoseconds>(*routing.route->wait, longest_wait);
    const auto end = std::chrono::steady_clock::now() + limit;
    asio::steady_timer timer(context_);
    connection.phase = Connection::Phase::waiting;
    while (true) {
      const bool is_last = std::chrono::steady_clock::now() >= end || is_closing_ || is_gone(connection);
      if (std::optional<ApiAnswer> done = api_.look(*wait, is_last)) co_return std::move(*done);
      timer.expires_after(look_interval);
      Error ignored;
      co_await timer.async_wait(into(ignored));
    }
  }

  // Browsers send requests that pages of others make them send.
  std::optional<ApiAnswer> tcp_refusal(const Request& request, bool changes) const {
    if (!view(request.target()).starts_with('/')) return Api::problem(400, "send the path alone, such as /v1/host");
    const std::string_view host = view(request[http::field::host]);
    if (!is_own_host(host)) {
      return Api::problem(403, "this host answers to localhost and to literal addresses only");
    }
    const std::string_view origin = view(request[http::field::origin]);
    const std::string_view site = view(request["Sec-Fetch-Site"]);
    if ((!origin.empty() && !is_own_origin(origin, host)) || site == "cross-site" || site == "same-site") {
      return Api::problem(403, "pages of others may not ask");
    }
    if (!changes) return std::nullopt;
    if (options_.token.empty()) {
      return Api::problem(403,
                          "over TCP this host can only be looked at: run it with --listen-token-file to change that");
    }
    constexpr std::string_view scheme = "Bearer ";
    const std::string_view given = view(request[http::field::authorization]);
    if (!given.starts_with(scheme) || !is_same_secret(given.substr(scheme.size()), options_.token)) {
      return Api::problem(401, "send the token: Authorization: Bearer TOKEN");
    }
    return std::nullopt;
  }

  const ControlServerOptions options_;
  ControlledHost& host_;
  asio::io_context context_{1};
  Api api_;
  std::optional<asio::local::stream_protocol::acceptor> local_;
  std::optional<asio::ip::tcp::acceptor> tcp_;
  std::string tcp_address_;
  Connections local_connections_;
  Connections tcp_connections_;
  asio::steady_timer closing_timer_{context_};
  bool is_closing_ = false;
  std::thread thread_;
};

ControlServer::ControlServer(ControlledHost& host, ControlServerOptions options)
    : implementation_(std::make_unique<Implementation>(host, std::move(options))) {}
ControlServer::~ControlServer() = default;
void ControlServer::start() { implementation_->start(); }
const std::string& ControlServer::tcp_address() const noexcept { return implementation_->tcp_address(); }

}  // namespace taskhost
