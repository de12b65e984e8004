import Foundation
import Glibc
import RetortCore
import Testing

@testable import RetortPython

private struct EchoTool: Tool {
    let specification = ToolSpecification(
        name: "echo", summary: "Says it.", parameters: [.init("text", type: "string", summary: "What.")],
        returns: "string")

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue { arguments["text"] ?? .null }
}

@Suite("Sandbox")
struct SandboxTests {
    private static let limits = PythonLimits(seconds: 3, outputCharacters: 2000, memoryBytes: 1 << 30)
    private static let isolated = Task { try await PythonInterpreter(limits: limits, requiring: .isolated) }
    private static let restricted = Task { try await PythonInterpreter(limits: limits, atMost: .restricted) }

    @Test("a hostile or broken program is stopped, and its session goes on", arguments: HostileProgram.all)
    func isolated(hostile: HostileProgram) async throws {
        try await attack(with: hostile, Self.isolated.value)
    }

    @Test("it is stopped without namespaces, too", arguments: HostileProgram.all.filter { $0.isForRestricted })
    func restricted(hostile: HostileProgram) async throws {
        try await attack(with: hostile, Self.restricted.value)
    }

    @Test("a session's end is the end of all its processes, and of its descriptors here")
    func leavesNothing() async throws {
        let python = try await PythonInterpreter(limits: Self.limits, requiring: .isolated, readySessions: 0)
        let before = await python.processCount()
        for hostile in HostileProgram.processes + HostileProgram.others {
            let session = try await python.session()
            _ = try await session.perform(.code(HostileProgram.prelude + hostile.program))
            await session.close()
        }
        for _ in 0..<500 where await python.processCount() > before { try await Task.sleep(for: .milliseconds(20)) }
        // Fewer when the session that tried the walls at the start was still going when they were counted.
        #expect(await python.processCount() <= before)
        await python.close()
        for _ in 0..<100 where await python.processCount() > 0 { try await Task.sleep(for: .milliseconds(20)) }
        #expect(await python.processCount() == 0)
    }

    @Test("programs may talk to themselves over a pair")
    func pairs() async throws {
        let session = try await Self.restricted.value.session()
        let seen = try await session.perform(
            .code("import socket\na, b = socket.socketpair()\na.sendall(b'hi')\nprint(b.recv(2))"))
        #expect(seen.text == "b'hi'")
        let loop = "import asyncio\nasync def f(): return 7\nprint(asyncio.run(f()))"
        #expect(try await session.perform(.code(loop)).text == "7")
        await session.close()
    }

    @Test("when the host is gone, so are programs that sleep", arguments: [SandboxLevel.isolated, .restricted])
    func orphans(level: SandboxLevel) async throws {
        let python = try await PythonInterpreter(limits: PythonLimits(seconds: 600), requiring: level, atMost: level)
        let session = try await python.session(tools: [EchoTool()])
        let asleep = Task { try await session.perform(.code("import time\necho('x')\ntime.sleep(600)")) }
        for _ in 0..<500 where await python.processCount() < 4 { try await Task.sleep(for: .milliseconds(10)) }
        // What kill -9 does: the kernel closes the host's end of the first socket.
        await python.leave()
        for _ in 0..<500 where await python.processCount() > 0 { try await Task.sleep(for: .milliseconds(20)) }
        #expect(await python.processCount() == 0)
        // Told as the program's failure, or as the session's.
        if case .success(let observation) = await asleep.result { #expect(observation.outcome.isFailure) }
        await session.close()
    }

    @Test(
        "what is open here is not open in the interpreter: a connection that is closed is closed",
        arguments: [SandboxLevel.isolated, .restricted])
    func inheritsNothing(level: SandboxLevel) async throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { Glibc.close(ends[0]) }
        let python = try await PythonInterpreter(limits: Self.limits, requiring: level, atMost: level)
        Glibc.close(ends[1])
        var end = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
        #expect(poll(&end, 1, 10_000) == 1 && end.revents & Int16(POLLHUP) != 0)
        await python.close()
    }

    @Test("a sandbox that is too weak is refused, with the reason")
    func refused() async throws {
        let error = await #expect(throws: PythonError.self) {
            _ = try await PythonInterpreter(requiring: .isolated, atMost: .restricted)
        }
        #expect("\(try #require(error))".contains("'restricted', but 'isolated' is required"))
    }

    @Test("each layer of the strongest sandbox stands, and the report says so")
    func report() async throws {
        let report = try await PythonInterpreter(requiring: .isolated).inspect()
        #expect(report.level == .isolated && report.shortfall == nil && report.isSound)
        let missing = report.layers.filter { !$0.holds }.map(\.name)
        #expect(missing.filter { $0 != "control group" } == [])
    }

    private func attack(with hostile: HostileProgram, _ python: PythonInterpreter) async throws {
        let session = try await python.session(tools: [EchoTool()])
        _ = try await session.perform(.code("secret = 41"))
        let seen = try await session.perform(.code(HostileProgram.prelude + hostile.program))
        #expect(!seen.text.contains("reached"), "\(hostile.name): \(seen.text.prefix(300))")
        #expect(
            hostile.seen.contains { $0.isEmpty || seen.text.contains($0) }, "\(hostile.name): \(seen.text.prefix(300))")
        let next = try await session.perform(.code("1 + 1"))
        #expect(next.text.hasSuffix("Out: 2"), "\(hostile.name) left: \(next.text.prefix(300))")
        await session.close()
    }
}

extension HostileProgram {
    /// What files exist may be seen without namespaces, and there is no `/tmp` to fill.
    fileprivate var isForRestricted: Bool {
        !["listing the root", "listing root's home", "leaving by .."].contains(name)
    }
}
