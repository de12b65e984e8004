import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import RetortCore
import RetortStore
import ServiceLifecycle
import Testing

@testable import RetortServer

/// A studio over a made-up run, and a browser's requests to it.
private struct TestStudio: Sendable {
    let port: Int
    let token: String
    let folder: URL

    struct Reply: Sendable {
        let status: Int
        let headers: [String: String]
        let text: String
    }

    static func run(
        _ entries: [String: [StoredTrajectory]], options change: (inout StudioOptions) -> Void = { _ in },
        _ body: @Sendable (TestStudio) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-studio-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let run = folder.appendingPathComponent("runs/made")
        try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
        let store = try TrajectoryStore(run.appendingPathComponent("trajectories.sqlite"))
        for (set, entries) in entries.sorted(by: { $0.key < $1.key }) { try await store.save(entries, in: set) }
        var options = StudioOptions()
        options.port = 0
        change(&options)
        let (addresses, continuation) = AsyncStream<String>.makeStream()
        let server = StudioServer(
            StudioPlaces(runs: [folder.appendingPathComponent("runs")], talks: folder.appendingPathComponent("talks")),
            options: options, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        ) { continuation.yield($0) }
        let group = ServiceGroup(
            services: [server], logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let running = Task {
            defer { continuation.finish() }
            try await group.run()
        }
        var iterator = addresses.makeAsyncIterator()
        let address = try #require(await iterator.next())
        let port = try #require(URL(string: address)?.port)
        do {
            try await body(TestStudio(port: port, token: options.token, folder: run))
        } catch {
            await group.triggerGracefulShutdown()
            _ = await running.result
            throw error
        }
        await group.triggerGracefulShutdown()
        try await running.value
    }

    func send(
        _ method: String, _ path: String, headers: [String: String] = [:], form: [(String, String)]? = nil,
        isTrusted: Bool = true, upTo limit: Int = 32 << 20
    ) async throws -> Reply {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
        request.method = .init(rawValue: method)
        if isTrusted { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let form {
            request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
            let text = form.map { "\($0.0)=\(Self.encoded($0.1))" }.joined(separator: "&")
            request.body = .bytes(ByteBuffer(string: text))
            if isTrusted, headers["Origin"] == nil {
                request.headers.add(name: "Origin", value: "http://127.0.0.1:\(port)")
            }
        }
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        let response = try await Self.client.execute(request, timeout: .seconds(120))
        let bytes = try await response.body.collect(upTo: limit)
        return Reply(
            status: Int(response.status.code),
            headers: Dictionary(
                response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { a, _ in a }),
            text: String(buffer: bytes))
    }

    private static let client = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .init(redirectConfiguration: .disallow))

    static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics)?.replacing("%20", with: "+") ?? ""
    }
}

private func entry(
    _ id: String, _ texts: [String] = ["thought"], question: String = "Who?", answer: JSONValue = "Rome",
    correct: Bool? = true
) -> StoredTrajectory {
    var trajectory = Trajectory(
        task: AgentTask(id: "task-\(id)", question: question, answers: ["Rome"], family: .factual),
        provenance: Provenance(policy: "agent", model: "m"), id: id)
    for text in texts {
        trajectory.append(
            Step(
                thought: text, action: .code("print('\(text)')"),
                observation: Observation(
                    text: text, outcome: .success,
                    toolCalls: [ToolCall(name: "search", arguments: ["q": .string(text)], result: 1)])))
    }
    trajectory.end(.answered(answer))
    return StoredTrajectory(
        trajectory: trajectory, verdict: correct.map { Verdict(isCorrect: $0, reason: "exact match") })
}

private func page(_ id: String, _ set: String = "s") -> String {
    "/runs/made/trajectory?set=\(TestStudio.encoded(set))&id=\(TestStudio.encoded(id))"
}

@Suite("Studio", .timeLimit(.minutes(30)))
struct StudioTests {
    @Test("a trajectory as JSON reads back as it is stored")
    func exactJSON() async throws {
        let kept = entry("a", answer: ["half": 0.5, "whole": 2.0, "none": .number(.infinity), "many": 3])
        try await TestStudio.run(["s": [kept]]) { studio in
            let reply = try await studio.send("GET", "/runs/made/text?set=s&id=a&part=json")
            #expect(reply.status == 200)
            #expect(try ExactJSON.decode(StoredTrajectory.self, from: reply.text.utf8) == kept)
            #expect(reply.text.contains("\n"))
        }
    }

    // MARK: Safety

    @Test(
        "only who knows the token is let in: once in the address, then by a cookie that scripts and other sites cannot use"
    )
    func token() async throws {
        try await TestStudio.run(["s": [entry("a")]]) { studio in
            for path in ["/", page("a"), "/compare", "/runs/made/text?set=s&id=a&part=json", "/studio.js", "/nothing"] {
                #expect(try await studio.send("GET", path, isTrusted: false).status == 401, "\(path)")
            }
            for token in ["", "x", String(studio.token.dropLast()), studio.token + "0"] {
                #expect(try await studio.send("GET", "/?token=\(token)", isTrusted: false).status == 401)
                let headers = ["Authorization": "Bearer \(token)"]
                #expect(try await studio.send("GET", "/", headers: headers, isTrusted: false).status == 401)
            }
            let entered = try await studio.send("GET", "/?token=\(studio.token)", isTrusted: false)
            #expect(entered.status == 303 && entered.headers["location"] == "/")
            let cookie = try #require(entered.headers["set-cookie"])
            #expect(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"))
            let kept = String(cookie.prefix { $0 != ";" })
            #expect(
                try await studio.send("GET", "/", headers: ["Cookie": "other=1; \(kept)"], isTrusted: false).status
                    == 200)
            #expect(try await studio.send("GET", "/", headers: ["Cookie": kept + "0"], isTrusted: false).status == 401)
            let other = "retort-studio-1=\(studio.token)"
            #expect(try await studio.send("GET", "/", headers: ["Cookie": other], isTrusted: false).status == 401)
            // Nobody is sent to another site.
            let away = try await studio.send("GET", "//evil.example/?token=\(studio.token)", isTrusted: false)
            #expect(away.headers["location"].map { !$0.hasPrefix("//") } ?? true)
        }
    }

    @Test("requests in another name, and changes that another site began, are refused, token or not")
    func strangers() async throws {
        try await TestStudio.run(["s": [entry("a")]]) { studio in
            for host in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", ""] {
                let status = try await studio.send("GET", "/", headers: ["Host": host]).status
                #expect(status == 400 || status == 421, "\(host)")
            }
            #expect(try await studio.send("GET", "/", headers: ["Host": "localhost:\(studio.port)"]).status == 200)
            let form = [("label", "bad")]
            for origin in ["http://evil.example", "null", "https://127.0.0.1:\(studio.port)", "http://127.0.0.1:1", ""]
            {
                let headers = ["Origin": origin]
                #expect(
                    try await studio.send("POST", "/runs/made/label?set=s&id=a", headers: headers, form: form).status
                        == 403,
                    "\(origin)")
            }
            let crossSite = ["Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"]
            #expect(
                try await studio.send("GET", "/runs/made/text?set=s&id=a&part=json", headers: crossSite).status == 403)
            let store = try TrajectoryStore(studio.folder.appendingPathComponent("trajectories.sqlite"), .readOnly)
            #expect(try await store.entry(id: "a", in: "s")?.label == nil)
        }
    }

    @Test("every answer, errors too, forbids scripts and frames of others, and is not kept")
    func headers() async throws {
        try await TestStudio.run(["s": [entry("a")]]) { studio in
            for path in [
                "/", page("a"), page("none"), "/nothing", "/studio.css", "/runs/made/text?set=s&id=a&part=json",
            ] {
                let reply = try await studio.send("GET", path)
                let policy = reply.headers["content-security-policy"] ?? ""
                #expect(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "\(path)")
                #expect(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"))
                #expect(reply.headers["x-content-type-options"] == "nosniff")
                #expect(
                    reply.headers["referrer-policy"] == "same-origin" && reply.headers["cache-control"] == "no-store")
            }
            // What the policy forbids is not on the pages either.
            for path in ["/", page("a"), "/compare", "/runs/made", "/runs/made/trajectories"] {
                let text = try await studio.send("GET", path).text
                #expect(
                    !text.contains("style=\"") && !text.contains("<style") && !text.contains(" onclick="), "\(path)")
                #expect(!text.contains("http://") && !text.contains("https://"), "\(path) names another place")
            }
        }
    }

    @Test("a request is bounded, and what is no form is refused")
    func bounds() async throws {
        try await TestStudio.run(["s": [entry("a")]], options: { $0.maximumBodyBytes = 1000 }) {
            (studio: TestStudio) async throws in
            let long = [("label", "bad"), ("note", String(repeating: "x", count: 2000))]
            #expect(try await studio.send("POST", "/runs/made/label?set=s&id=a", form: long).status == 413)
            let headers = ["Origin": "http://127.0.0.1:\(studio.port)", "Content-Type": "application/json"]
            #expect(try await studio.send("POST", "/runs/made/label?set=s&id=a", headers: headers).status == 415)
            #expect(try await studio.send("POST", "/runs/made/label?set=s&id=a", form: [("note", "x")]).status == 400)
            let odd = [("label", "excellent")]
            #expect(try await studio.send("POST", "/runs/made/label?set=s&id=a", form: odd).status == 400)
            for path in [
                "/runs/..", "/runs/made/trajectory", "/runs/other", "/runs/made/trajectories?page=-5&least=-9&most=x",
            ] {
                #expect(try await studio.send("GET", path).status < 500, "\(path)")
            }
        }
    }

    @Test("what models and tools wrote is text, wherever it stands")
    func hostile() async throws {
        let script =
            "</code></pre><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & {{{body}}} \u{0}\u{1B}[31m\u{202E}gnp"
        let long = String(repeating: "A", count: 1_200_000)
        // Names of sets are a recipe's, not a model's; they go through the filter's own form.
        let set = "</option><script>alert(3)</script>\" '"
        var bad = entry(script, [script, long], question: script, answer: .string(script), correct: false)
        var steps = bad.trajectory.steps
        steps[0].speaker = script
        steps[0].candidates = [
            Candidate(
                thought: script, action: .toolCall(name: script, arguments: [script: .string(script)]), observation: nil
            ),
            Candidate(
                thought: script, action: .unparsable(text: script, reason: script),
                observation: Observation(text: script, outcome: .executionError(type: script, message: script)),
                votes: 2, chosen: true),
        ]
        steps[0].observation.toolCalls = [ToolCall(name: script, arguments: ["x": .string(script)], error: script)]
        steps[0].remarks = [script]
        steps[0].transcript = .drifted(text: script)
        bad.trajectory = bad.trajectory.with(steps: steps, ending: .gaveUp(script))
        bad.verdict = Verdict(isCorrect: false, reason: script)
        bad.also = [script: Verdict(isCorrect: true, reason: script)]
        try await TestStudio.run([set: [bad], "s": [entry("a")]]) { [bad] studio in
            let own = page(script, set)
            let pages = [
                own, "/runs/made",
                "/runs/made/trajectories?set=\(TestStudio.encoded(set))&q=\(TestStudio.encoded(set))",
                own + "&brun=made&bset=\(TestStudio.encoded(set))&bid=\(TestStudio.encoded(script))",
                "/compare?a=\(TestStudio.encoded("made/" + set))&b=made/s", page(script),
            ]
            for path in pages {
                let text = try await studio.send("GET", path).text
                #expect(
                    !text.contains("<script>") && !text.contains("<img") && !text.contains("onerror=alert(2)>\""),
                    "\(path)")
                #expect(!text.contains("\u{0}") && !text.contains("\u{1B}") && !text.contains("\u{202E}"), "\(path)")
                #expect(text.utf8.count < 300_000, "\(path) is \(text.utf8.count) bytes long")
            }
            let text = try await studio.send("GET", own).text
            #expect(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && text.contains("␀␛[31m⟨U+202E⟩gnp"))
            #expect(text.contains("all 1.2 MB"))
            let address =
                "/runs/made/text?set=\(TestStudio.encoded(set))&id=\(TestStudio.encoded(script))&step=1&part=observation"
            let whole = try await studio.send("GET", address)
            #expect(whole.text == long && whole.headers["content-type"] == "text/plain; charset=utf-8")
            let json = try await studio.send("GET", address.replacing("part=observation", with: "part=json")).text
            let read = try JSONCoding.decoder.decode(StoredTrajectory.self, from: Data(json.utf8))
            #expect(read == bad)
        }
    }

    // MARK: Looking

    @Test("trajectories are listed by what the address asks for, and paged")
    func lists() async throws {
        let many = (0..<120).map { entry("t\($0)", ["number \($0)"], correct: $0 % 2 == 0) }
        try await TestStudio.run(["s": many, "cot+rag": [entry("plus")]]) { studio in
            func list(_ query: String) async throws -> String {
                try await studio.send("GET", "/runs/made/trajectories?\(query)").text
            }
            let first = try await list("set=s")
            #expect(
                first.contains("120 trajectories") && first.contains("page 1 of 3") && first.contains("rel=\"next\""))
            #expect(try await list("set=s&page=3").contains("t119"))
            let solved = try await list("set=s&outcome=solved")
            #expect(solved.contains("60 trajectories") && !solved.contains("aria-label=\"wrong\""))
            #expect(try await list("set=s&q=number+77").contains("1 trajectory<"))
            #expect(try await list("set=cot%2Brag").contains("plus"))
            #expect(try await list("set=s&tool=search&fault=timeout").contains("Nothing is like that"))
            #expect(try await studio.send("GET", "/").text.contains("121"))
        }
    }

    @Test("a label is written, shown, and filters; a trajectory that was mended is kept beside the one that ran")
    func labels() async throws {
        try await TestStudio.run(["s": [entry("a", ["first", "second"]), entry("b")]]) { studio in
            let form = [("label", "bad"), ("note", "guessed & lucky")]
            let reply = try await studio.send("POST", "/runs/made/label?set=s&id=a", form: form)
            #expect(reply.status == 303)
            let back = try #require(reply.headers["location"])
            #expect(try await studio.send("GET", back).text.contains("guessed &amp; lucky"))
            #expect(
                try await studio.send("GET", "/runs/made/trajectories?set=s&label=bad").text.contains("1 trajectory<"))
            let change = [
                ("thought-1", "second\r\nthought"), ("action-1", "print('new')"),
                ("answer", "Rome"),
            ]
            #expect(try await studio.send("POST", "/runs/made/mend?set=s&id=a", form: change).status == 303)
            let store = try TrajectoryStore(studio.folder.appendingPathComponent("trajectories.sqlite"), .readOnly)
            let entry = try #require(try await store.entry(id: "a", in: "s"))
            #expect(entry.label?.kind == .mended && entry.label?.note == "guessed & lucky")
            #expect(entry.label?.mended?.steps[1].thought == "second\nthought")
            #expect(entry.label?.mended?.steps[1].action == .code("print('new')"))
            #expect(
                entry.trajectory.steps[1].thought == "second"
                    && entry.label?.mended?.steps[0] == entry.trajectory.steps[0])
            #expect(try await studio.send("GET", page("a") + "&mended=1").text.contains("as it was mended by hand"))
            #expect(
                try await studio.send("POST", "/runs/made/label?set=s&id=a", form: [("label", "none")])
                    .status == 303)
            #expect(try await store.entry(id: "a", in: "s")?.label == nil)
        }
    }

    @Test("two sets are compared on the tasks that both have, and those on which they differ lead to both runs")
    func compare() async throws {
        let first = (0..<10).map { entry("t\($0)", correct: $0 < 6) }
        let second = (2..<12).map { entry("t\($0)", correct: $0 >= 4) }
        try await TestStudio.run(["one": first, "two": second]) { studio in
            let text = try await studio.send("GET", "/compare?a=made/one&b=made/two").text
            // Of tasks 2 to 9 the first solved 2 to 5, the second 4 to 9.
            #expect(
                text.contains("8 tasks") && text.contains("4 of 8") && text.contains("6 of 8") && text.contains("+25.0")
            )
            #expect(
                text.contains("only the first solved <small>2<") && text.contains("only the second solved <small>4<"))
            #expect(text.contains("brun=made&amp;bset=two&amp;bid=t2"))
            let pair = try await studio.send("GET", "/runs/made/trajectory?set=one&id=t2&brun=made&bset=two&bid=t2")
                .text
            #expect(pair.contains("made · one") && pair.contains("made · two"))
        }
    }

    @Test("a run is kept up to date while somebody looks")
    func live() async throws {
        try await TestStudio.run(["s": [entry("a")]]) { studio in
            var request = HTTPClientRequest(url: "http://127.0.0.1:\(studio.port)/runs/made/live")
            request.headers.add(name: "Authorization", value: "Bearer \(studio.token)")
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
            #expect(response.headers.first(name: "Content-Type")?.hasPrefix("text/event-stream") == true)
            var text = ""
            for try await piece in response.body {
                text += String(buffer: piece)
                if text.contains("\n\n") { break }
            }
            #expect(text.hasPrefix("data: "))
        }
    }

    @Test("what cannot be seen is made visible, and long texts are cut where their lines or characters end")
    func visible() {
        #expect(VisibleText.visible("a\tb\r\nc\rd\u{7}\u{85}") == "a\tb\nc␍d␇⟨U+85⟩")
        #expect(VisibleText.visible("שלום 👩‍👩‍👧 नमस्ते") == "שלום 👩‍👩‍👧 नमस्ते")
        #expect(VisibleText("short", place: "/x").whole == nil)
        let lines = VisibleText(String(repeating: "x\n", count: 1000), place: "/x")
        #expect(lines.text.count < 400 && lines.whole == "2.0 kB" && lines.place == "/x")
        #expect(VisibleText.line("a \n b\t\u{1B}c", upTo: 10) == "a b ␛c")
    }
}
