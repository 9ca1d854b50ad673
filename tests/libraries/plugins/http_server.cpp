// An HTTP server with Boost.Asio and Beast: the loop is Asio's, and the host's stop is one descriptor more in it.
#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <string>
#include <taskhost/sdk/config.hpp>
#include <taskhost/sdk/task.hpp>

namespace {

namespace sdk = taskhost::sdk;
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::system_error;

class HttpServer {
 public:
  explicit HttpServer(sdk::Context context) : context_(context) {
    const sdk::Config config(context);
    config.keys("port delay");
    port_ = static_cast<std::uint16_t>(config.integer("/port", 8080, sdk::between(1, 65535)));
    delay_ = config.duration("/delay", std::chrono::seconds(0));
  }

  void run() {
    asio::io_context io;
    asio::posix::stream_descriptor host(io, static_cast<int>(context_.wait_fd()));
    const auto fail = [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    };
    asio::co_spawn(io, serve(), fail);
    asio::co_spawn(io, wait_for_stop(host, io), fail);
    try {
      io.run();
    } catch (const system_error& error) {
      host.release();
      throw sdk::Failure(error.what());
    }
    host.release();  // the host closes it
    context_.info(std::to_string(most_) + " connections at most");
  }

 private:
  asio::awaitable<void> wait_for_stop(asio::posix::stream_descriptor& host, asio::io_context& io) {
    while (!context_.wait_for(std::chrono::seconds(0)).stop()) {
      co_await host.async_wait(asio::posix::stream_descriptor::wait_read, use_awaitable);
    }
    io.stop();
  }

  asio::awaitable<void> serve() {
    const auto executor = co_await asio::this_coro::executor;
    tcp::acceptor acceptor(executor, {asio::ip::address_v4::loopback(), port_});
    context_.ready();
    for (;;) {
      tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
      asio::co_spawn(executor, answer(beast::tcp_stream(std::move(socket))), asio::detached);
    }
  }

  asio::awaitable<void> answer(beast::tcp_stream stream) {
    most_ = std::max(most_, ++connections_);
    try {
      beast::flat_buffer buffer;
      for (;;) {
        http::request<http::empty_body> request;
        co_await http::async_read(stream, buffer, request, use_awaitable);
        asio::steady_timer timer(stream.get_executor(), delay_);
        co_await timer.async_wait(use_awaitable);
        http::response<http::string_body> response(http::status::ok, request.version());
        response.body() = "hello\n";
        response.prepare_payload();
        co_await http::async_write(stream, response, use_awaitable);
      }
    } catch (const system_error&) {  // the client has gone
    }
    --connections_;
  }

  sdk::Context context_;
  std::uint16_t port_;
  sdk::Duration delay_;
  int connections_ = 0;
  int most_ = 0;
};

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::factory<HttpServer>("http_server"));
