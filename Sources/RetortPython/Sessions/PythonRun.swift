import Foundation
import RetortCore

/// The run of one program in a process of its own: output, tool calls, and the end.
struct PythonRun {
    /// What is run.
    enum Work {
        case program(String)
        /// A single tool call with JSON arguments.
        case call(name: String, arguments: JSONValue)
    }

    /// Where a run stops: at its end, or before an effect that must wait.
    enum Stop {
        case finished(Observation)
        case held(ToolCall)
    }

    private let process: PythonProcess
    private let parent: PythonProcess
    private let tools: ToolBox
    private let limits: PythonLimits
    private let clock: ProgramClock
    private var calls: [ToolCall] = []
    private var callCount = 0
    /// The length of all notes, kept or not.
    private var notedBytes = 0
    private var pending: (name: String, arguments: [String: JSONValue])?
    /// The text printed so far.
    private(set) var output: String
    /// Whether the process can go on as the session.
    private(set) var survived = false

    /// - Parameter notice: text that the agent must see before the program's own output.
    init(
        _ process: PythonProcess, of parent: PythonProcess, tools: ToolBox, limits: PythonLimits, notice: String
    ) {
        output = notice
        self.process = process
        self.parent = parent
        self.tools = tools
        self.limits = limits
        clock = ProgramClock(
            seconds: limits.seconds, unless: { process.channel.hasUnread },
            waited: { ProcessFacts(process.pid).waited }
        ) { process.kill() }
    }

    /// Starts the program and follows it to its first stop.
    /// - Throws: the error of a tool that ends the run; the process then still waits for the tool's answer.
    mutating func start(_ work: Work, seed: Int, holdingEffects isTentative: Bool) async throws -> Stop {
        var frame: [String: JSONValue] = [
            "op": "run", "seed": .integer(seed), "output": .integer(limits.outputCharacters),
        ]
        switch work {
        case .program(let program): frame["code"] = .string(program)
        case .call(let name, let arguments): frame["call"] = ["name": .string(name), "arguments": arguments]
        }
        if let clock = limits.clock { frame["clock"] = .number(clock) }
        guard (try? await process.channel.send(.object(frame))) != nil else { return .finished(await broken()) }
        clock.start()
        return try await follow(holdingEffects: isTentative)
    }

    /// Goes on after a stop before an effect, which is now carried out.
    /// - Throws: the error of a tool that ends the run.
    mutating func resume() async throws -> Observation {
        if let pending {
            self.pending = nil
            guard await reply(try await answer(pending.name, pending.arguments)) else { return await broken() }
        }
        clock.start()
        guard case .finished(let observation) = try await follow(holdingEffects: false) else { return await broken() }
        return observation
    }

    private mutating func follow(holdingEffects isTentative: Bool) async throws -> Stop {
        defer { clock.stop() }
        while let event = await process.channel.next() {
            guard case .frame(let frame, let bytes) = event else {
                guard isTentative else { continue }
                return .held(ToolCall(name: "(change of files)", arguments: [:]))
            }
            switch frame["op"]?.string {
            case "output":
                output += frame["text"]?.string ?? ""
                if output.utf8.count > 8 * (limits.outputCharacters + 1024) { return .finished(brokenRules()) }
            case "call":
                guard bytes <= Self.longestCall else { return .finished(brokenRules()) }
                clock.stop()
                let (name, arguments) = (frame["name"]?.string ?? "", frame["arguments"]?.object ?? [:])
                if isTentative, callCount < tools.limit, tools.isExternal(name) {
                    pending = (name, arguments)
                    return .held(ToolCall(name: name, arguments: arguments))
                }
                guard await reply(try await answer(name, arguments)) else { return .finished(await broken()) }
                clock.start()
            case "called": note(frame, bytes)
            case "done":
                survived = true
                return .finished(finished(frame))
            default: return .finished(brokenRules())
            }
        }
        return .finished(await broken())
    }

    /// Records a call of one of the session's own functions that has taken place. What comes behind the limits is not
    /// kept.
    private mutating func note(_ frame: JSONValue, _ bytes: Int) {
        notedBytes += bytes
        guard calls.count < Self.mostNotes, notedBytes <= Self.mostNotedBytes else { return }
        calls.append(
            ToolCall(
                name: frame["name"]?.string ?? "", arguments: frame["arguments"]?.object ?? [:],
                result: frame["error"] == nil ? frame["value"] ?? .null : nil, error: frame["error"]?.string))
    }

    // The worker has limits of its own for what it sends, but a program can write to its socket itself.
    private static let mostNotes = 1000
    private static let mostNotedBytes = 8 << 20
    /// The longest call, in bytes: the worker's limit for arguments, and room for the name.
    private static let longestCall = (1 << 20) + (64 << 10)

    private mutating func answer(_ name: String, _ arguments: [String: JSONValue]) async throws -> ToolCall {
        callCount += 1
        // Further calls of a program in a loop are not kept, since their arguments could fill the memory and the
        // store.
        guard callCount <= tools.limit else {
            return ToolCall(name: name, arguments: [:], error: "a program may call tools \(tools.limit) times")
        }
        return try await tools.answer(name, arguments)
    }

    /// Whether the answer could be sent.
    private mutating func reply(_ call: ToolCall) async -> Bool {
        // Of the calls beyond the limit, only the first is kept.
        if callCount <= tools.limit + 1 { calls.append(call) }
        let frame: JSONValue =
            call.error.map { ["op": "return", "error": .string($0)] }
            ?? ["op": "return", "value": call.result ?? .null]
        return (try? await process.channel.send(frame)) != nil
    }

    // MARK: Ends

    private func finished(_ frame: JSONValue) -> Observation {
        var printed = output
        if case .integer(let cut) = frame["cut"], cut > 0 { printed += "… [\(cut) characters left out]\n" }
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
        if let result = frame["result"]?.string {
            return observation(result.isEmpty ? "(no output)" : result, .success, after: printed)
        }
        if let value = frame["value"]?.string { return observation("Out: \(value)", .success, after: printed) }
        return observation(printed.isEmpty ? "(no output)" : "", .success, after: printed)
    }

    /// The process is gone, or was killed for what it sent.
    private func broken() async -> Observation {
        if clock.hasExpired {
            return observation(
                "Error: the program was stopped after \(limits.seconds) seconds; what it changed is undone",
                .timeout(seconds: limits.seconds))
        }
        if process.channel.hasBrokenRules { return brokenRules() }
        return crashed(Self.words(for: await parent.end(of: process)))
    }

    private func brokenRules() -> Observation {
        crashed("the program wrote what it should not to the interpreter's own channel, or far too much")
    }

    private func crashed(_ what: String) -> Observation {
        let message = "\(what); what it changed is undone"
        return observation("Error: \(message)", .executionError(type: "Crash", message: message))
    }

    /// - Parameter status: an exit code, or the negative number of a signal.
    private static func words(for status: Int?) -> String {
        switch status {
        case -9: "the program was killed, probably for want of memory"
        case -11, -7, -6: "the program crashed the interpreter (invalid memory access or abort)"
        case -24: "the program used up its processor time"
        case -31: "the program made a forbidden system call and was ended"
        case let code? where code >= 0: "the program ended the interpreter (exit code \(code))"
        case let signal?: "the program was ended by signal \(-signal)"
        case nil: "the program cut its own connection to the interpreter"
        }
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
