import RetortCore
import RetortServer
import Testing

@Suite("The rules of HTTP/1")
struct WireRulesTests {
    private static let body =
        #"{"model":"1m","messages":[{"role":"user","content":"x"}],"max_tokens":2,"temperature":0}"#
    private static let head = "Host: localhost\r\nContent-Type: application/json\r\n"

    private func post(_ version: String, _ more: String = "", _ body: String = body) -> String {
        "POST /v1/chat/completions HTTP/\(version)\r\n\(Self.head)\(more)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test("an answer to HTTP/1.0 ends with its connection, whole or streamed")
    func oldClients() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            for more in ["", "Connection: keep-alive\r\n"] {
                let whole = try await server.exchange(post("1.0", more))
                #expect(whole.hasPrefix("HTTP/1.0 200") && whole.contains("\"choices\""), "\(whole)")
            }
            let wanted = Self.body.replacing("}],", with: "}],\"stream\":true,")
            let streamed = try await server.exchange(post("1.0", "", wanted))
            #expect(streamed.lowercased().contains("connection: close"))
            #expect(!streamed.lowercased().contains("chunked"))
            #expect(streamed.hasSuffix("data: [DONE]\n\n"))
            #expect(try await server.exchange("GET /nope HTTP/1.0\r\n\r\n").hasPrefix("HTTP/1.0 404"))
        }
    }

    @Test(
        "HEAD is answered as GET is, without a body",
        arguments: ["/health", "/v1/models", "/v1/models/1m", "/metrics", "/nope"])
    func heads(path: String) async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let isThere = path != "/nope"
            // A body would be read as the beginning of the second answer.
            let answers = try await server.exchange(
                "HEAD \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    + "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n")
            let parts = answers.components(separatedBy: "\r\n\r\n")
            #expect(parts.count == 3, "\(answers)")
            #expect(parts.first?.hasPrefix("HTTP/1.1 \(isThere ? 200 : 404)") == true)
            #expect(parts.dropFirst().first?.hasPrefix("HTTP/1.1 200") == true)
            #expect(parts.last?.contains("\"status\":\"ok\"") == true)
        }
    }

    @Test("another method than a path takes is named with those that it takes")
    func methods() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            for (method, path, allowed) in [
                ("PUT", "/v1/models", "GET, HEAD"), ("DELETE", "/v1/models/1m", "GET, HEAD"),
                ("POST", "/health", "GET, HEAD"), ("GET", "/v1/messages", "POST"), ("HEAD", "/v1/completions", "POST"),
            ] {
                let reply = try await server.send(server.request(method, path))
                #expect(reply.status == 405, "\(method) \(path)")
                #expect(reply.headers["allow"] == allowed)
            }
        }
    }

    @Test("a client that waits to be told to go on is told")
    func expectation() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let answer = try await server.exchange(post("1.1", "Expect: 100-continue\r\nConnection: close\r\n"))
            #expect(answer.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "\(answer)")
        }
    }

    @Test("what is no HTTP, and a body that is not as its head says, are the client's fault")
    func malformed() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let noHTTP = try await server.exchange("GET /health HTTP/1.1\r\nContent-Length: x\r\n\r\n")
            #expect(noHTTP.hasPrefix("HTTP/1.1 400") && noHTTP.contains("\"invalid_http\""), "\(noHTTP)")
            let chunks = try await server.exchange(
                "POST /v1/chat/completions HTTP/1.1\r\n\(Self.head)Transfer-Encoding: chunked\r\n"
                    + "Connection: close\r\n\r\nzz\r\nabc\r\n")
            #expect(chunks.hasPrefix("HTTP/1.1 400") && chunks.contains("\"invalid_body\""), "\(chunks)")
        }
    }

    @Test("what is nowhere below Anthropic's path is told in Anthropic's form")
    func nowhere() async throws {
        try await TestServer.run(try TestServer.seedlingCatalogue()) { server in
            let reply = try await server.post("/v1/messages/count_tokens", [:])
            #expect(reply.status == 404 && reply.json["error"]?["type"] == "not_found_error")
        }
    }
}
