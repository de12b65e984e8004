import Foundation
import RetortCore
import RetortEvaluation

/// A step as a page shows it: the speaker, the thought, the action, the observation, and the alternatives considered.
///
/// Mustache looks up a nil value in the enclosing contexts, so optional parts have names that no enclosing context
/// uses.
struct StepCard: Sendable {
    struct Deed: Sendable {
        /// The program, highlighted: markup around escaped text.
        let program: String?
        let call: Call?
        /// Text without an action, an answer, or the reason for giving up.
        let words: VisibleText?
        /// What kind of text the words are.
        let kind: String
        /// Whether they are text in which no action was found.
        var isRaw = false
        let more: VisibleText?
    }

    struct Call: Sendable {
        let name: String
        let arguments: VisibleText
    }

    struct Seen: Sendable {
        let kind: String
        let isBad: Bool
        let text: VisibleText?
    }

    struct ToolUse: Sendable {
        let name: String
        let arguments: String
        let result: VisibleText?
        let error: VisibleText?
    }

    struct Option: Sendable {
        let isChosen: Bool
        let votes: String
        let share: Int
        let samples: String
        let ownThought: VisibleText?
        let deed: Deed
        let ownSeen: Seen?
    }

    struct Tokens: Sendable {
        let words: String
        /// The text that the model wrote, if it differs from the text that the view would write.
        let text: VisibleText?
        let ids: String?
    }

    let number: Int
    let anchor: String
    let speaker: String
    let role: String
    let cost: String
    let remarks: [VisibleText]
    let thought: VisibleText?
    let deed: Deed
    let seen: Seen?
    let uses: [ToolUse]
    let usesTitle: String
    let hasUses: Bool
    let options: [Option]
    let optionsTitle: String
    let hasOptions: Bool
    let tokens: Tokens?
    /// Why the run is believed to have gone wrong at this step.
    let stepFault: String?

    /// - Parameters:
    ///   - anchor: the step's id on the page, for links.
    ///   - place: the address of a part in full, by the part's name.
    init(
        _ step: Step, number: Int, anchor: String, fault: String? = nil, place: (String) -> String
    ) {
        self.number = number
        self.anchor = anchor
        speaker = VisibleText.line(step.speaker, upTo: 40)
        role = ["planner", "caller", "summarizer", "retriever"].contains(step.speaker) ? step.speaker : "agent"
        cost = Self.cost(step)
        remarks = (step.remarks ?? []).enumerated().map { VisibleText($1, place: place("remark-\($0)")) }
        thought = step.thought.isEmpty ? nil : VisibleText(step.thought, place: place("thought"))
        deed = Self.deed(step.action, place("action"))
        // An answer is not shown twice.
        let isAnswer = if case .answer = step.action, step.observation.text.isEmpty { true } else { false }
        seen = isAnswer ? nil : Self.seen(step.observation, place("observation"))
        uses = step.observation.toolCalls.prefix(Self.mostUses).enumerated().map { index, call in
            Self.use(call, place("call-\(index)"))
        }
        let uncounted = step.observation.toolCalls.count - uses.count
        let failed = step.observation.toolCalls.count { $0.error != nil }
        usesTitle =
            Figure.count(step.observation.toolCalls.count, "tool call") + (failed > 0 ? ", \(failed) failed" : "")
            + (uncounted > 0 ? "; the first \(uses.count)" : "")
        // A call that is itself the action is shown already.
        hasUses = !uses.isEmpty && (step.action.toolName == nil || failed > 0)
        options = Self.options(step.candidates, place)
        let voted = step.candidates.contains { $0.votes > 0 }
        optionsTitle =
            voted
            ? "\(step.candidates.count) candidates and their votes, \(options.count) different"
            : "\(step.candidates.count) ways were tried from here"
        hasOptions = options.count > 1 || step.candidates.count > 1
        tokens = Self.tokens(step.transcript, place("tokens"))
        stepFault = fault
    }

    private static let mostUses = 40

    private static func cost(_ step: Step) -> String {
        var parts: [String] = []
        if step.usage.promptTokens + step.usage.completionTokens > 0 {
            parts.append(
                "\(Figure.count(step.usage.promptTokens)) + \(Figure.count(step.usage.completionTokens)) tokens")
        }
        let seconds = step.usage.seconds + step.observation.seconds
        if seconds > 0 { parts.append(Figure.seconds(seconds)) }
        return parts.joined(separator: " · ")
    }

    static func deed(_ action: Action, _ place: String) -> Deed {
        switch action {
        case .code(let program):
            let shown = VisibleText(program, place: place)
            return Deed(
                program: CodeHighlighter.html(shown.text), call: nil, words: nil, kind: "",
                more: shown.whole == nil ? nil : shown)
        case .toolCall(let name, let arguments):
            let call = Call(
                name: VisibleText.line(name, upTo: 120), arguments: VisibleText(arguments.jsonText, place: place))
            return Deed(program: nil, call: call, words: nil, kind: "", more: nil)
        case .answer(let value):
            return Deed(
                program: nil, call: nil, words: VisibleText(value.text, place: place), kind: "answers", more: nil)
        case .giveUp(let reason):
            return Deed(program: nil, call: nil, words: VisibleText(reason, place: place), kind: "gives up", more: nil)
        case .unparsable(let text, let reason):
            return Deed(
                program: nil, call: nil, words: VisibleText(text, place: place),
                kind: "no action: \(VisibleText.line(reason))", isRaw: true, more: nil)
        }
    }

    static func seen(_ observation: Observation, _ place: String) -> Seen? {
        let kind =
            switch observation.outcome {
            case .success: "observation"
            case .final: "final answer"
            case .parseError: "no action was found"
            case .executionError(let type, _): type.isEmpty ? "error" : VisibleText.line(type, upTo: 80)
            case .timeout(let seconds): "stopped after \(Figure.seconds(seconds))"
            }
        let isBad = observation.outcome.isFailure
        var text = observation.text
        if case .final(let value) = observation.outcome, text.isEmpty { text = value.text }
        guard !text.isEmpty || isBad else { return nil }
        return Seen(kind: kind, isBad: isBad, text: text.isEmpty ? nil : VisibleText(text, place: place))
    }

    private static func use(_ call: ToolCall, _ place: String) -> ToolUse {
        ToolUse(
            name: VisibleText.line(call.name, upTo: 120),
            arguments: VisibleText.line(JSONValue.object(call.arguments).jsonText, upTo: 400),
            result: call.error == nil ? call.result.map { VisibleText($0.text, place: place) } : nil,
            error: call.error.map { VisibleText($0, place: place) })
    }

    /// Candidates with the same action are joined into one option.
    private static func options(_ candidates: [Candidate], _ place: (String) -> String) -> [Option] {
        let different = candidates.enumerated().reduce(into: [(index: Int, candidate: Candidate)]()) { list, next in
            if let same = list.firstIndex(where: { $0.candidate.action == next.element.action }) {
                if next.element.chosen { list[same] = (next.offset, next.element) }
            } else {
                list.append((next.offset, next.element))
            }
        }
        let sorted = different.sorted { ($1.candidate.votes, $0.index) < ($0.candidate.votes, $1.index) }
        return sorted.map { index, candidate in
            let samples = candidates.count { $0.action == candidate.action }
            return Option(
                isChosen: candidate.chosen, votes: candidate.votes > 0 ? Figure.count(candidate.votes, "vote") : "",
                share: 100 * candidate.votes / max(candidates.count, 1),
                samples: samples > 1 ? Figure.count(samples, "sample") : "",
                ownThought: candidate.thought.isEmpty
                    ? nil : VisibleText(candidate.thought, place: place("candidate-\(index)-thought")),
                deed: deed(candidate.action, place("candidate-\(index)-action")),
                ownSeen: candidate.observation.flatMap { seen($0, place("candidate-\(index)-observation")) })
        }
    }

    private static func tokens(_ transcript: Transcript?, _ place: String) -> Tokens? {
        switch transcript {
        case .tokens(let ids):
            Tokens(
                words: "\(Figure.count(ids.prompt.count)) tokens read, \(Figure.count(ids.completion.count)) written",
                text: nil,
                ids: ids.completion.prefix(512).map(String.init).joined(separator: " "))
        case .drifted(let text):
            Tokens(words: "what the model wrote, as it wrote it", text: VisibleText(text, place: place), ids: nil)
        case .same, nil: nil
        }
    }
}

extension Trajectory {
    /// A part in full, by its name in addresses; nil if there is no such part.
    /// - Parameter step: counted from 0; nil for parts of the whole trajectory.
    func part(_ name: String, step: Int?) -> String? {
        switch name {
        case "question": task.question
        case "answer": answer
        default: step.flatMap { steps.dropFirst(max($0, 0)).first?.part(name) }
        }
    }
}

extension Step {
    /// A part of the step in full, by its name in addresses; nil if there is no such part.
    func part(_ name: String) -> String? {
        let words = name.split(separator: "-").map(String.init)
        let index = words.count > 1 ? Int(words[1]) : nil
        switch (words.first, index) {
        case ("thought", nil): return thought
        case ("action", nil): return action.whole
        case ("observation", nil): return observation.text
        case ("remark", let index?): return (remarks ?? []).dropFirst(index).first
        case ("call", let index?):
            return observation.toolCalls.dropFirst(index).first.map { $0.error ?? $0.result?.text ?? "" }
        case ("tokens", nil): if case .drifted(let text) = transcript { return text }
        case ("candidate", let index?):
            guard let candidate = candidates.dropFirst(index).first else { return nil }
            switch words.last {
            case "thought": return candidate.thought
            case "action": return candidate.action.whole
            case "observation": return candidate.observation?.text
            default: return nil
            }
        default: break
        }
        return nil
    }
}

extension Action {
    /// The whole as a text.
    fileprivate var whole: String {
        switch self {
        case .code(let program): program
        case .toolCall(let name, let arguments): "\(name) \(arguments.jsonText)"
        case .answer(let value): value.text
        case .giveUp(let reason): reason
        case .unparsable(let text, _): text
        }
    }
}
