import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Threads enough, and ten database connections. A stream keeps one as long as it lasts, and the health check asks
 * for one as well. The liveness check does not.
 */
public class Connections {
    private static final Semaphore DATABASE = new Semaphore(10, true);
    private static final long PATIENCE_SECONDS = 30;

    interface Work {
        void run() throws IOException, InterruptedException;
    }

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(arguments[0]);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 512);
        server.setExecutor(Executors.newFixedThreadPool(300));
        server.createContext("/live", exchange -> answer(exchange, 200, "ok"));
        server.createContext("/health", exchange -> connected(exchange, () -> answer(exchange, 200, "ok")));
        server.createContext("/feed", exchange -> connected(exchange, () -> feed(exchange)));
        server.start();
    }

    private static void connected(HttpExchange exchange, Work work) throws IOException {
        try {
            if (!DATABASE.tryAcquire(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                answer(exchange, 503, "no connection");
                return;
            }
            try {
                work.run();
            } finally {
                DATABASE.release();
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        } finally {
            exchange.close();
        }
    }

    private static void feed(HttpExchange exchange) throws IOException, InterruptedException {
        exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
        exchange.sendResponseHeaders(200, 0);
        for (int number = 0; number < 3000; number++) {
            exchange.getResponseBody().write(("data: " + number + "\n\n").getBytes());
            exchange.getResponseBody().flush();
            Thread.sleep(100);
        }
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        exchange.sendResponseHeaders(status, text.length());
        exchange.getResponseBody().write(text.getBytes());
        exchange.close();
    }
}
