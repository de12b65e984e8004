import Foundation
import RetortCore
import Synchronization

/// A Python session: state is kept from program to program.
///
/// A program runs in a fork of the session. When it ends, well or with an exception, its fork becomes the session; when
/// it is stopped at its time limit or crashes, the fork is thrown away and the session stands as before.
public actor PythonEnvironment: Environment {
    private var process: PythonProcess?
    private let tools: [String: any Tool]
    private let limits: PythonLimits

    init(_ process: PythonProcess, tools: [any Tool], limits: PythonLimits) {
        self.process = process
        self.tools = Dictionary(tools.map { ($0.specification.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.limits = limits
    }

    public func perform(_ action: Action) async throws -> Observation {
        guard case .code(let program) = action else { throw PythonError.notCode }
        guard let process else { throw PythonError.closed }
        let start = ContinuousClock.now
        let candidate = try await process.fork()
        var run = PythonRun(candidate, tools: tools, limits: limits)
        var observation = try await withTaskCancellationHandler {
            try await run.execute(program)
        } onCancel: {
            candidate.kill()
        }
        try Task.checkCancellation()
        if run.survived {
            self.process = candidate
            process.kill()
        } else {
            candidate.kill()
        }
        observation.seconds = start.duration(to: .now) / .seconds(1)
        return observation
    }

    public func fork() async throws -> any Environment {
        guard let process else { throw PythonError.closed }
        return PythonEnvironment(try await process.fork(), tools: Array(tools.values), limits: limits)
    }

    public func close() {
        process?.kill()
        process = nil
    }
}

/// One program on its way: output, tool calls, and the end.
struct PythonRun {
    private let process: PythonProcess
    private let tools: [String: any Tool]
    private let limits: PythonLimits
    private let clock: ProgramClock
    private var output = ""
    private var calls: [ToolCall] = []
    /// Whether the process can go on as the session.
    private(set) var survived = false

    init(_ process: PythonProcess, tools: [String: any Tool], limits: PythonLimits) {
        self.process = process
        self.tools = tools
        self.limits = limits
        clock = ProgramClock(seconds: limits.seconds) { process.kill() }
    }

    mutating func execute(_ program: String) async throws -> Observation {
        try process.channel.send([
            "op": "run", "code": .string(program), "seed": 0, "output": .integer(limits.outputCharacters),
            "seconds": .number(limits.seconds),
        ])
        clock.start()
        defer { clock.stop() }
        while let frame = await process.channel.nextFrame() {
            switch frame["op"]?.string {
            case "output": output += frame["text"]?.string ?? ""
            case "call":
                clock.stop()
                try process.channel.send(await answer(frame))
                clock.start()
            case "done":
                survived = true
                return finished(frame)
            default: throw PythonError.protocolBroken("an unknown frame")
            }
        }
        if clock.hasExpired {
            return observation(
                "Error: the program was stopped after \(limits.seconds) seconds; what it changed is undone",
                .timeout(seconds: limits.seconds))
        }
        let message = "the interpreter crashed or ran out of its limits; what the program changed is undone"
        return observation("Error: \(message)", .executionError(type: "Crash", message: message))
    }

    private mutating func answer(_ frame: JSONValue) async -> JSONValue {
        let name = frame["name"]?.string ?? ""
        var call = ToolCall(name: name, arguments: frame["arguments"]?.object ?? [:])
        defer { calls.append(call) }
        do {
            guard let tool = tools[name] else { throw ToolError.unknownTool(name, known: Array(tools.keys)) }
            let result = try await tool.call(tool.specification.validated(call.arguments))
            call.result = result
            return ["op": "return", "value": result]
        } catch {
            call.error = "\(error)"
            return ["op": "return", "error": .string("\(error)")]
        }
    }

    private func finished(_ frame: JSONValue) -> Observation {
        if case .integer(let cut) = frame["cut"], cut > 0 {
            return ended(frame, output + "… [\(cut) characters left out]\n")
        }
        return ended(frame, output)
    }

    private func ended(_ frame: JSONValue, _ printed: String) -> Observation {
        if let answer = frame["final"] {
            return Observation(text: printed.trimmedEnd, outcome: .final(answer), toolCalls: calls)
        }
        if let error = frame["error"] {
            let type = error["type"]?.string ?? "Error"
            let message = error["message"]?.string ?? ""
            var text = "\(type): \(message)"
            if case .integer(let line) = error["line"] { text += " (line \(line))" }
            return observation(text, .executionError(type: type, message: message), after: printed)
        }
        if let value = frame["value"]?.string { return observation("Out: \(value)", .success, after: printed) }
        return observation(printed.isEmpty ? "(no output)" : "", .success, after: printed)
    }

    private func observation(
        _ text: String, _ outcome: Observation.Outcome, after printed: String? = nil
    ) -> Observation {
        let parts = [(printed ?? output).trimmedEnd, text].filter { !$0.isEmpty }
        return Observation(text: parts.joined(separator: "\n"), outcome: outcome, toolCalls: calls)
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

/// Counts a program's own time and stops it when that is used up; time in tools is not the program's.
final class ProgramClock: Sendable {
    private struct State {
        var left: Double
        var since: ContinuousClock.Instant?
        var timer: Timer?
        var hasExpired = false
    }

    private let state: Mutex<State>
    private let expire: @Sendable () -> Void

    init(seconds: Double, _ expire: @escaping @Sendable () -> Void) {
        state = Mutex(State(left: seconds))
        self.expire = expire
    }

    var hasExpired: Bool { state.withLock { $0.hasExpired } }

    func start() {
        state.withLock { state in
            state.since = .now
            state.timer = Timer(seconds: max(state.left, 0.001)) { [self] in
                self.state.withLock { $0.hasExpired = true }
                expire()
            }
        }
    }

    func stop() {
        state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            if let since = state.since { state.left -= since.duration(to: .now) / .seconds(1) }
            state.since = nil
        }
    }
}
