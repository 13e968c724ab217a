//! What to look for, by framework: where the limit of a service usually is, once the service says what
//! it runs on.
//!
//! ```
//! let found = verdict::frameworks::by_server_header("Werkzeug/3.1.3 Python/3.12.1");
//! assert_eq!(found.map(|framework| framework.name), Some("Flask, Werkzeug"));
//! ```

use serde::Serialize;

/// A server, a runtime or a client library, and its limits.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Framework {
    /// What people call it.
    pub name: &'static str,
    /// How its product begins in the `Server` header, in lower case. Empty if it sends none.
    pub server_header: &'static [&'static str],
    /// Words of its command line, in lower case and without their folder.
    pub process: &'static [&'static str],
    /// Whether it answers on an event loop. None if a setting decides.
    pub is_event_loop: Option<bool>,
    /// The limits to look at first, in one line.
    pub look_for: &'static str,
    /// Each limit.
    pub limits: &'static [Limit],
}

/// A number that a service can run into.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limit {
    /// What it counts.
    pub what: &'static str,
    /// Its value if nobody set it.
    pub default: &'static str,
    /// How it is seen or changed.
    pub change: &'static str,
    /// The page or source file that says so.
    pub source: &'static str,
}

/// The framework that sends this `Server` header. A proxy in front hides it.
#[must_use]
pub fn by_server_header(header: &str) -> Option<&'static Framework> {
    let header = header.to_ascii_lowercase();
    header.split_whitespace().find_map(|product| {
        let begins = |prefix: &&str| product.starts_with(*prefix);
        FRAMEWORKS
            .iter()
            .find(|framework| framework.server_header.iter().any(begins))
    })
}

/// The framework of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Framework> {
    FRAMEWORKS.iter().find(|framework| framework.name == name)
}

/// The framework that this command line starts. The more specific one comes first: gunicorn's event loops
/// before gunicorn, a language's runtime last.
#[must_use]
pub fn by_process(command_line: &str) -> Option<&'static Framework> {
    let line = command_line.to_ascii_lowercase();
    let words = line.split_whitespace();
    let words: Vec<_> = words
        .map(|word| {
            word.rsplit('/')
                .next()
                .unwrap_or(word)
                .trim_end_matches(':')
        })
        .collect();
    FRAMEWORKS
        .iter()
        .find(|framework| framework.process.iter().any(|word| words.contains(word)))
}

const fn limit(
    what: &'static str,
    default: &'static str,
    change: &'static str,
    source: &'static str,
) -> Limit {
    Limit {
        what,
        default,
        change,
        source,
    }
}

const GUNICORN: &str = "https://docs.gunicorn.org/en/stable/settings.html";
const UVICORN: &str = "https://www.uvicorn.org/settings/";
const TOMCAT: &str = "https://tomcat.apache.org/tomcat-10.1-doc/config/http.html";
const LLAMA: &str = "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md";
const OLLAMA: &str = "https://github.com/ollama/ollama/blob/main/docs/faq.mdx";
const WAITRESS: &str = "https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html";
const HYPERCORN: &str = "https://hypercorn.readthedocs.io/en/latest/how_to_guides/configuring.html";
const PUMA: &str = "https://github.com/puma/puma/blob/main/lib/puma/configuration.rb";
const HAPROXY: &str = "https://docs.haproxy.org/3.0/configuration.html";
const EXECUTOR: &str = "https://docs.python.org/3/library/concurrent.futures.html";
const ENVOY: &str =
    "https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/circuit_breaker.proto";
const NETTY: &str = "https://github.com/reactor/reactor-netty/blob/main/reactor-netty-core/src/main/java/reactor/netty/resources/LoopResources.java";

/// AnyIO's threads, of whatever serves Starlette or FastAPI.
const ANYIO: Limit = limit(
    "AnyIO's threads: `def` routes, `def` dependencies, generators that are not async",
    "40",
    "`anyio.to_thread.current_default_thread_limiter().total_tokens`",
    "https://www.starlette.io/threadpool/",
);

/// Every framework, the more specific first.
pub const FRAMEWORKS: &[Framework] = &[
    Framework {
        name: "gunicorn with uvicorn workers",
        server_header: &[],
        process: &[
            "uvicorn.workers.uvicornworker",
            "uvicorn_worker.uvicornworker",
        ],
        is_event_loop: Some(true),
        look_for: "gunicorn --workers, one event loop each; in each AnyIO's limiter: 40",
        limits: &[
            limit(
                "event loops, one a worker",
                "1",
                "`--workers`, `WEB_CONCURRENCY`",
                GUNICORN,
            ),
            ANYIO,
        ],
    },
    Framework {
        name: "gunicorn",
        server_header: &["gunicorn"],
        process: &["gunicorn"],
        is_event_loop: None,
        look_for: "gunicorn: --workers × --threads",
        limits: &[
            limit("processes", "1", "`--workers`, `WEB_CONCURRENCY`", GUNICORN),
            limit(
                "threads of a process (gthread)",
                "1",
                "`--threads`",
                GUNICORN,
            ),
            limit(
                "connections of a process (gevent, gthread)",
                "1000",
                "`--worker-connections`",
                GUNICORN,
            ),
            limit(
                "connections that wait to be accepted",
                "2048",
                "`--backlog`",
                GUNICORN,
            ),
        ],
    },
    Framework {
        name: "vLLM",
        server_header: &[],
        process: &["vllm", "vllm.entrypoints.openai.api_server"],
        is_event_loop: Some(true),
        look_for: "vLLM: --max-num-seqs; more requests wait inside the engine",
        limits: &[limit(
            "sequences in a batch",
            "chosen at the start; 128 if nothing chooses",
            "`--max-num-seqs`",
            "https://github.com/vllm-project/vllm/blob/main/vllm/config/scheduler.py",
        )],
    },
    Framework {
        name: "LiteLLM proxy",
        server_header: &[],
        process: &["litellm"],
        is_event_loop: Some(true),
        look_for: "LiteLLM: --num_workers, one event loop each",
        limits: &[limit(
            "processes",
            "1",
            "`--num_workers`, `NUM_WORKERS`",
            "https://docs.litellm.ai/docs/proxy/cli",
        )],
    },
    Framework {
        name: "llama.cpp server",
        server_header: &["llama.cpp"],
        process: &["llama-server"],
        is_event_loop: Some(false),
        look_for: "llama-server: --parallel slots, --threads-http; one inference loop",
        limits: &[
            limit(
                "slots",
                "automatic",
                "`--parallel`; `GET /slots` shows them",
                LLAMA,
            ),
            limit("HTTP threads", "automatic", "`--threads-http`", LLAMA),
        ],
    },
    Framework {
        name: "Ollama",
        server_header: &[],
        process: &["ollama"],
        is_event_loop: Some(false),
        look_for: "Ollama: OLLAMA_NUM_PARALLEL 1, then OLLAMA_MAX_QUEUE 512, then 503",
        limits: &[
            limit(
                "requests of a model at once",
                "1",
                "`OLLAMA_NUM_PARALLEL`",
                OLLAMA,
            ),
            limit(
                "requests that wait; more get 503",
                "512",
                "`OLLAMA_MAX_QUEUE`",
                OLLAMA,
            ),
        ],
    },
    Framework {
        name: "Hypercorn",
        server_header: &["hypercorn"],
        process: &["hypercorn"],
        is_event_loop: Some(true),
        look_for: "Hypercorn: --workers, one event loop each; AnyIO's limiter: 40",
        limits: &[
            limit("event loops, one a worker", "1", "`--workers`", HYPERCORN),
            limit(
                "connections that wait to be accepted",
                "100",
                "`--backlog`",
                HYPERCORN,
            ),
        ],
    },
    Framework {
        name: "uvicorn: FastAPI, Starlette",
        server_header: &["uvicorn"],
        process: &["uvicorn", "fastapi"],
        is_event_loop: Some(true),
        look_for: "AnyIO's limiter: 40, for def routes; to_thread: min(32, cpus + 4)",
        limits: &[
            ANYIO,
            limit(
                "the loop's default executor: `asyncio.to_thread`, `run_in_executor(None, …)`; no `def` route uses it",
                "min(32, cpus + 4)",
                "`loop.set_default_executor(…)`",
                EXECUTOR,
            ),
            limit(
                "connections and tasks; more get 503, health too",
                "none",
                "`--limit-concurrency`",
                UVICORN,
            ),
            limit(
                "connections that wait to be accepted",
                "2048",
                "`--backlog`",
                UVICORN,
            ),
        ],
    },
    Framework {
        name: "waitress",
        server_header: &["waitress"],
        process: &["waitress-serve"],
        is_event_loop: Some(false),
        look_for: "waitress: threads, 4 by default",
        limits: &[
            limit("threads", "4", "`--threads`", WAITRESS),
            limit("connections", "100", "`--connection-limit`", WAITRESS),
            limit(
                "connections that wait to be accepted",
                "1024",
                "`--backlog`",
                WAITRESS,
            ),
        ],
    },
    Framework {
        name: "Flask, Werkzeug",
        server_header: &["werkzeug"],
        process: &["flask"],
        is_event_loop: Some(false),
        look_for: "the development server: a thread for each request, no limit",
        limits: &[limit(
            "threads",
            "no limit",
            "`flask run --without-threads`",
            "https://github.com/pallets/flask/blob/main/src/flask/app.py",
        )],
    },
    Framework {
        name: "Django's runserver",
        server_header: &["wsgiserver"],
        process: &["manage.py"],
        is_event_loop: Some(false),
        look_for: "the development server: a thread for each request, no limit",
        limits: &[limit(
            "threads",
            "no limit",
            "`runserver --nothreading`",
            "https://docs.djangoproject.com/en/5.2/ref/django-admin/#runserver",
        )],
    },
    Framework {
        name: "aiohttp",
        server_header: &["aiohttp"],
        process: &[],
        is_event_loop: Some(true),
        look_for: "its client: TCPConnector(limit=100); to_thread: min(32, cpus + 4)",
        limits: &[
            limit(
                "connections of a client session",
                "100",
                "`TCPConnector(limit=…)`",
                "https://docs.aiohttp.org/en/stable/client_reference.html",
            ),
            limit(
                "the loop's default executor",
                "min(32, cpus + 4)",
                "`loop.set_default_executor(…)`",
                EXECUTOR,
            ),
        ],
    },
    Framework {
        name: "nginx",
        server_header: &["nginx"],
        process: &["nginx"],
        is_event_loop: Some(true),
        look_for: "nginx: worker_connections 512; then the service behind it",
        limits: &[limit(
            "connections of a worker, clients' and upstreams' together",
            "512",
            "`worker_connections`",
            "https://nginx.org/en/docs/ngx_core_module.html#worker_connections",
        )],
    },
    Framework {
        name: "HAProxy",
        server_header: &[],
        process: &["haproxy"],
        is_event_loop: Some(true),
        look_for: "HAProxy: maxconn of the server line, then timeout queue",
        limits: &[
            limit(
                "requests sent to a server at once",
                "no limit",
                "`server … maxconn`",
                HAPROXY,
            ),
            limit(
                "wait for one of them; then 503",
                "`timeout connect`",
                "`timeout queue`",
                HAPROXY,
            ),
            limit(
                "connections of the process",
                "from its open files",
                "`global maxconn`",
                HAPROXY,
            ),
        ],
    },
    Framework {
        name: "Envoy",
        server_header: &["envoy"],
        process: &["envoy"],
        is_event_loop: Some(true),
        look_for: "Envoy: circuit breakers of the cluster, 1024 each",
        limits: &[
            limit(
                "connections to a cluster",
                "1024",
                "`max_connections`",
                ENVOY,
            ),
            limit(
                "requests that wait for one",
                "1024",
                "`max_pending_requests`",
                ENVOY,
            ),
            limit("requests at once", "1024", "`max_requests`", ENVOY),
        ],
    },
    Framework {
        name: "Puma",
        server_header: &[],
        process: &["puma"],
        is_event_loop: Some(false),
        look_for: "Puma: threads (5) × workers",
        limits: &[
            limit(
                "threads of a process",
                "5 (16 without the global lock)",
                "`threads`, `-t`",
                PUMA,
            ),
            limit(
                "worker processes",
                "0: one process",
                "`workers`, `WEB_CONCURRENCY`",
                PUMA,
            ),
        ],
    },
    Framework {
        name: "Jetty",
        server_header: &["jetty"],
        process: &[],
        is_event_loop: Some(false),
        look_for: "Jetty: maxThreads 200; HikariCP: 10 database connections",
        limits: &[limit(
            "threads of the pool",
            "200",
            "`jetty.threadPool.maxThreads`; `server.jetty.threads.max` in Spring Boot",
            "https://github.com/jetty/jetty.project/blob/jetty-12.0.x/jetty-core/jetty-server/src/main/config/modules/threadpool.mod",
        )],
    },
    Framework {
        name: "Tomcat, Spring Boot",
        server_header: &[],
        process: &["org.apache.catalina.startup.bootstrap"],
        is_event_loop: Some(false),
        look_for: "Tomcat: maxThreads 200; HikariCP: 10, held by open-in-view",
        limits: &[
            limit(
                "request threads",
                "200",
                "`maxThreads`, `server.tomcat.threads.max`",
                TOMCAT,
            ),
            limit(
                "connections",
                "8192",
                "`maxConnections`, `server.tomcat.max-connections`",
                TOMCAT,
            ),
            limit(
                "connections that wait to be accepted",
                "100",
                "`acceptCount`, `server.tomcat.accept-count`",
                TOMCAT,
            ),
            limit(
                "threads that write a `StreamingResponseBody` or a `Flux`; their queue has no bound",
                "8",
                "`spring.task.execution.pool.core-size`",
                "https://docs.spring.io/spring-boot/reference/features/task-execution-and-scheduling.html",
            ),
            limit(
                "a database connection is held until the answer is written",
                "true",
                "`spring.jpa.open-in-view`",
                "https://docs.spring.io/spring-boot/reference/data/sql.html",
            ),
        ],
    },
    Framework {
        name: "Undertow",
        server_header: &[],
        process: &[],
        is_event_loop: None,
        look_for: "Undertow: worker threads, 8 for each I/O thread",
        limits: &[limit(
            "worker threads",
            "8 × I/O threads, which are max(cpus, 2)",
            "`setWorkerThreads`",
            "https://github.com/undertow-io/undertow/blob/main/core/src/main/java/io/undertow/Undertow.java",
        )],
    },
    Framework {
        name: "Reactor Netty: Spring WebFlux",
        server_header: &[],
        process: &[],
        is_event_loop: Some(true),
        look_for: "event loops: max(cpus, 4); connections of a client: 2 × max(cpus, 8)",
        limits: &[
            limit(
                "event loops",
                "max(cpus, 4)",
                "`reactor.netty.ioWorkerCount`",
                NETTY,
            ),
            limit(
                "connections of a client to a host",
                "2 × max(cpus, 8)",
                "`ConnectionProvider.builder(…).maxConnections(…)`",
                "https://github.com/reactor/reactor-netty/blob/main/reactor-netty-core/src/main/java/reactor/netty/resources/ConnectionProvider.java",
            ),
        ],
    },
    Framework {
        name: "another server on a JVM",
        server_header: &[],
        process: &["java"],
        is_event_loop: None,
        look_for: "request threads (Tomcat, Jetty: 200); HikariCP: 10",
        limits: &[limit(
            "request threads",
            "200 in Tomcat and Jetty",
            "`jcmd PID Thread.print` names them and shows what they wait for",
            "https://docs.oracle.com/en/java/javase/21/docs/specs/man/jcmd.html",
        )],
    },
    Framework {
        name: "ASP.NET Core, Kestrel",
        server_header: &["kestrel"],
        process: &["dotnet"],
        is_event_loop: Some(false),
        look_for: "the ThreadPool: starts with one thread a core, adds more slowly",
        limits: &[limit(
            "threads that are there at once; more are added slowly",
            "cpus",
            "`ThreadPool.SetMinThreads`; `dotnet-counters` shows its queue",
            "https://github.com/dotnet/runtime/blob/main/src/libraries/System.Private.CoreLib/src/System/Threading/PortableThreadPool.cs",
        )],
    },
    Framework {
        name: "Node.js",
        server_header: &[],
        process: &["node"],
        is_event_loop: Some(true),
        look_for: "one loop; http.Agent maxSockets; UV_THREADPOOL_SIZE 4 (fs, dns.lookup)",
        limits: &[
            limit(
                "threads for files, `dns.lookup`, some of `crypto` and `zlib`",
                "4",
                "`UV_THREADPOOL_SIZE`",
                "https://docs.libuv.org/en/v1.x/threadpool.html",
            ),
            limit(
                "connections of a client to a host",
                "Infinity",
                "`new http.Agent({ maxSockets })`",
                "https://nodejs.org/api/http.html#new-agentoptions",
            ),
        ],
    },
    Framework {
        name: "Go, net/http",
        server_header: &[],
        process: &[],
        is_event_loop: Some(false),
        look_for: "a channel or semaphore; Transport.MaxConnsPerHost; SetMaxOpenConns",
        limits: &[
            limit(
                "connections of a client to a host",
                "0: no limit",
                "`http.Transport.MaxConnsPerHost`",
                "https://pkg.go.dev/net/http#Transport",
            ),
            limit(
                "database connections",
                "0: no limit",
                "`DB.SetMaxOpenConns`",
                "https://pkg.go.dev/database/sql#DB.SetMaxOpenConns",
            ),
            limit(
                "threads that run Go code at once",
                "cpus",
                "`GOMAXPROCS`",
                "https://pkg.go.dev/runtime#hdr-Environment_Variables",
            ),
        ],
    },
    Framework {
        name: "Tokio: axum, actix-web, hyper",
        server_header: &[],
        process: &[],
        is_event_loop: Some(true),
        look_for: "Tokio: max_blocking_threads 512, for spawn_blocking",
        limits: &[limit(
            "threads for `spawn_blocking`, files and host names",
            "512",
            "`Builder::max_blocking_threads`",
            "https://docs.rs/tokio/latest/tokio/runtime/struct.Builder.html#method.max_blocking_threads",
        )],
    },
    Framework {
        name: "httpx",
        server_header: &[],
        process: &[],
        is_event_loop: None,
        look_for: "httpx: max_connections 100; who waits 5 s gets PoolTimeout",
        limits: &[
            limit(
                "connections of a client",
                "100",
                "`httpx.Limits(max_connections=…)`",
                "https://www.python-httpx.org/advanced/resource-limits/",
            ),
            limit(
                "wait for one of them; then `PoolTimeout`",
                "5 s",
                "`httpx.Timeout(pool=…)`",
                "https://www.python-httpx.org/advanced/timeouts/",
            ),
        ],
    },
    Framework {
        name: "requests, urllib3",
        server_header: &[],
        process: &[],
        is_event_loop: None,
        look_for: "pool_maxsize 10, a limit only with pool_block=True",
        limits: &[limit(
            "connections kept for a host; a limit only with `pool_block=True`",
            "10",
            "`HTTPAdapter(pool_maxsize=…, pool_block=…)`",
            "https://github.com/psf/requests/blob/main/src/requests/adapters.py",
        )],
    },
    Framework {
        name: "SQLAlchemy",
        server_header: &[],
        process: &[],
        is_event_loop: None,
        look_for: "SQLAlchemy: pool_size 5 + max_overflow 10; who waits 30 s fails",
        limits: &[
            limit(
                "database connections of an engine",
                "5 + 10",
                "`create_engine(pool_size=…, max_overflow=…)`",
                "https://docs.sqlalchemy.org/en/20/core/pooling.html",
            ),
            limit(
                "wait for one of them; then `TimeoutError`",
                "30 s",
                "`create_engine(pool_timeout=…)`",
                "https://docs.sqlalchemy.org/en/20/core/pooling.html",
            ),
        ],
    },
    Framework {
        name: "HikariCP",
        server_header: &[],
        process: &[],
        is_event_loop: None,
        look_for: "HikariCP: maximumPoolSize 10; who waits 30 s fails",
        limits: &[
            limit(
                "database connections of a pool",
                "10",
                "`maximumPoolSize`, `spring.datasource.hikari.maximum-pool-size`",
                "https://github.com/brettwooldridge/HikariCP#gear-configuration-knobs-baby",
            ),
            limit(
                "wait for one of them; then an exception",
                "30 s",
                "`connectionTimeout`",
                "https://github.com/brettwooldridge/HikariCP#gear-configuration-knobs-baby",
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn name(framework: Option<&Framework>) -> &str {
        framework.map_or("", |framework| framework.name)
    }

    #[test]
    fn a_server_header_names_its_framework() {
        for (header, expected) in [
            ("uvicorn", "uvicorn: FastAPI, Starlette"),
            ("gunicorn/20.0.4", "gunicorn"),
            ("hypercorn-h11", "Hypercorn"),
            ("Werkzeug/3.1.3 Python/3.12.1", "Flask, Werkzeug"),
            ("WSGIServer/0.2 CPython/3.12.1", "Django's runserver"),
            ("Python/3.12 aiohttp/3.14.5", "aiohttp"),
            ("Jetty(12.0.14)", "Jetty"),
            ("nginx/1.24.0 (Ubuntu)", "nginx"),
            ("Kestrel", "ASP.NET Core, Kestrel"),
            ("Microsoft-IIS/10.0", ""),
            ("", ""),
        ] {
            assert_eq!(name(by_server_header(header)), expected, "{header}");
        }
    }

    #[test]
    fn a_command_line_names_its_framework_and_the_more_specific_one_wins() {
        for (line, expected) in [
            (
                "/venv/bin/python /venv/bin/gunicorn -w 2 app:app",
                "gunicorn",
            ),
            ("gunicorn: worker [app:app]", "gunicorn"),
            (
                "gunicorn -k uvicorn.workers.UvicornWorker app:app",
                "gunicorn with uvicorn workers",
            ),
            ("python -m uvicorn app:app", "uvicorn: FastAPI, Starlette"),
            ("python -m vllm.entrypoints.openai.api_server", "vLLM"),
            (
                "/usr/bin/java org.apache.catalina.startup.Bootstrap start",
                "Tomcat, Spring Boot",
            ),
            ("java -jar app.jar", "another server on a JVM"),
            ("puma 6.4.2 (tcp://0.0.0.0:3000) [shop]", "Puma"),
            ("nginx: worker process", "nginx"),
            ("/usr/bin/node server.js", "Node.js"),
            ("python app.py --name node-3", ""),
            ("", ""),
        ] {
            assert_eq!(name(by_process(line)), expected, "{line}");
        }
    }

    #[test]
    fn every_row_can_be_found_read_in_one_line_and_checked() {
        for framework in FRAMEWORKS {
            let words = framework.server_header.iter().chain(framework.process);
            for word in words {
                assert_eq!(*word, word.to_ascii_lowercase(), "{}", framework.name);
            }
            for header in framework.server_header {
                assert_eq!(name(by_server_header(header)), framework.name);
            }
            for word in framework.process {
                assert_eq!(name(by_process(word)), framework.name);
            }
            assert!(
                framework.look_for.chars().count() <= 72,
                "{}",
                framework.look_for
            );
            assert!(!framework.limits.is_empty(), "{}", framework.name);
            for limit in framework.limits {
                assert!(limit.source.starts_with("https://"), "{limit:?}");
                let cells = [limit.what, limit.default, limit.change].concat();
                assert!(!cells.contains('|'), "would break the table: {cells}");
            }
        }
    }
}
