import Foundation
import RetortCore
import RetortPython

/// SymPy and Math-Verify inside the interpreter's sandbox, one comparison per process: each comparison has a limit of
/// processor time and memory, independent of the load on the machine.
public actor SymbolicJudge {
    /// What SymPy or Math-Verify said.
    public struct Opinion: Sendable, Hashable, Codable {
        /// Nil when it could not decide.
        public let isEqual: Bool?
        /// Why, in a few words.
        public let reason: String
    }

    private let interpreter: PythonInterpreter
    private var idle: [PythonEnvironment] = []
    private var started = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private let width: Int
    private let helpers: String

    /// - Parameters:
    ///   - processorSeconds: the limit for each comparison.
    ///   - width: the most comparisons at the same time.
    ///   - level: the weakest acceptable sandbox.
    /// - Throws: `PythonError` when the interpreter cannot be started.
    public init(
        processorSeconds: Int = 5, width: Int = 2, requiring level: SandboxLevel = .restricted
    ) async throws {
        guard let file = Bundle.module.url(forResource: "symbolic", withExtension: "py") else {
            throw PythonError.cannotStart(path: "symbolic.py", reason: "it is missing from the program")
        }
        helpers = try String(contentsOf: file, encoding: .utf8)
        // The wall clock only ends processes that sleep; work is counted in processor time.
        var limits = PythonLimits(seconds: 60, outputCharacters: 20_000, memoryBytes: 1 << 30)
        limits.processorSeconds = processorSeconds
        interpreter = try await PythonInterpreter(limits: limits, requiring: level, readySessions: 1)
        self.width = width
    }

    /// Whether two expressions are equal.
    func areEqual(_ question: SymbolicQuestion) async throws -> Opinion {
        let texts: (String, String)
        do {
            texts = (try SymPyText.of(question.reference), try SymPyText.of(question.answer))
        } catch {
            return Opinion(isEqual: nil, reason: "it has no form in SymPy")
        }
        return try await ask("retort_equal(\"\(Self.encoded(texts.0))\", \"\(Self.encoded(texts.1))\")")
    }

    /// Math-Verify's opinion of an answer, which may be a whole text.
    /// - Throws: `PythonError`; a comparison that runs out of time or memory is an opinion without a decision.
    public func verify(reference: String, answer: String) async throws -> Opinion {
        guard answer.utf8.count <= MathLimits.text else {
            return Opinion(isEqual: false, reason: "longer than \(MathLimits.text) bytes")
        }
        return try await ask("retort_verify(\"\(Self.encoded(reference))\", \"\(Self.encoded(answer))\")")
    }

    /// Math-Verify's opinion of an answer that is a formula as a whole.
    func verifyFormula(reference: String, answer: String) async throws -> Opinion {
        guard answer.utf8.count <= MathLimits.text else {
            return Opinion(isEqual: false, reason: "longer than \(MathLimits.text) bytes")
        }
        return try await ask("retort_formula(\"\(Self.encoded(reference))\", \"\(Self.encoded(answer))\")")
    }

    /// An expression as SymPy prints it; nil when SymPy has no form for it.
    func text(of node: MathNode) async throws -> String? {
        guard let source = try? SymPyText.of(node) else { return nil }
        let reply = try await run("retort_str(\"\(Self.encoded(source))\")")
        guard let text = reply["text"]?.string else {
            throw PythonError.protocolBroken(reply["reason"]?.string ?? "no reply")
        }
        return text
    }

    /// Ends the interpreter.
    public func close() async { await interpreter.close() }

    private static func encoded(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    private func ask(_ call: String) async throws -> Opinion {
        let reply = try await run(call)
        var isEqual: Bool?
        if case .bool(let value)? = reply["equal"] { isEqual = value }
        return Opinion(isEqual: isEqual, reason: reply["reason"]?.string ?? "no reply")
    }

    private func run(_ call: String) async throws -> JSONValue {
        let session = try await take()
        defer { give(session) }
        let program = Action.code("print(json.dumps(\(call)))")
        var observation = try await session.perform(program)
        if case .executionError(type: "NameError", _) = observation.outcome {
            // The interpreter had to start a new session.
            _ = try await session.perform(.code(helpers))
            observation = try await session.perform(program)
        }
        switch observation.outcome {
        case .success:
            // The interpreter's own notices precede the reply.
            let line = observation.text.split(separator: "\n").last ?? ""
            let reply = try? JSONCoding.decoder.decode(JSONValue.self, from: Data(line.utf8))
            return reply ?? ["reason": "SymPy's reply is not readable"]
        case .timeout: return ["reason": "SymPy took longer than a minute"]
        case .executionError(type: "Crash", let message): return ["reason": .string("SymPy: \(message)")]
        case .executionError(type: "MemoryError", _): return ["reason": "SymPy needs more than 1 GB"]
        case .executionError(let type, _): return ["reason": .string("SymPy: \(type)")]
        case .parseError, .final: return ["reason": "SymPy's reply is not readable"]
        }
    }

    /// A session with the helpers loaded.
    private func take() async throws -> PythonEnvironment {
        while true {
            if let session = idle.popLast() { return session }
            if started < width { break }
            await withCheckedContinuation { waiting.append($0) }
        }
        started += 1
        do {
            let session = try await interpreter.session()
            let loaded = try await session.perform(.code(helpers))
            guard !loaded.outcome.isFailure else { throw PythonError.protocolBroken(loaded.text) }
            return session
        } catch {
            started -= 1
            wake()
            throw error
        }
    }

    private func give(_ session: PythonEnvironment) {
        idle.append(session)
        wake()
    }

    private func wake() { if !waiting.isEmpty { waiting.removeFirst().resume() } }
}
