// Passes a stream of its upstream on, with a client that opens eight connections and no more. With `leak`
// nothing tells the client that whoever asked has gone, so the connection is never given back.
//
//     node agent.js PORT UPSTREAM_PORT [leak]
const http = require("node:http");

const [port, upstream, mode] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });

function relay(response) {
  const request = http.get({ port: Number(upstream), path: "/events", agent });
  request.on("response", (answer) => {
    response.writeHead(answer.statusCode, { "Content-Type": answer.headers["content-type"] });
    answer.on("data", (chunk) => response.write(chunk));
    answer.on("end", () => response.end());
  });
  request.on("error", () => response.destroy());
  if (mode !== "leak") response.on("close", () => request.destroy());
}

const server = http.createServer((request, response) => {
  if (request.url === "/events") relay(response);
  else response.end("ok\n");
});
server.listen(Number(port), "127.0.0.1");
