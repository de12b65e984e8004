import RetortCore

/// One of a test's turns: what the planner and whoever follows it should say (arXiv 2401.07324, section 4.2).
public struct StaticTurn: Sendable, Hashable {
    /// The trajectory's place in the file, from 0: turns of one trajectory are no independent sample.
    public let trajectory: Int
    /// The utterance's place in the trajectory, from 0.
    public let utterance: Int
    /// The names that may be called.
    public let tools: Set<String>
    /// What was said.
    public let reference: String

    private static let decisions = ["Next: caller.", "Next: conclusion.", "Next: give up."]

    /// The turns of a file of α-UMi's second stage: a turn for each rationale with a decision.
    /// - Throws: `StaticTestError` that names the record.
    public static func turns(of file: JSONValue) throws -> [StaticTurn] {
        guard let records = file.array else { throw StaticTestError.notAList }
        let turns = try records.enumerated().flatMap { try self.turns(of: $1, number: $0) }
        guard !turns.isEmpty else { throw StaticTestError.noTurns }
        return turns
    }

    private static func turns(of record: JSONValue, number: Int) throws -> [StaticTurn] {
        guard let utterances = record["conversations"]?.array, let tools = record["tools"]?.array else {
            throw StaticTestError.noConversation(record: number + 1)
        }
        let names = Set(tools.compactMap { $0["Name"]?.string })
        return try utterances.enumerated().compactMap { index, utterance in
            guard utterance["from"] == "assistant", let value = utterance["value"]?.string,
                decisions.contains(where: value.contains)
            else { return nil }
            var reference = value
            if value.contains("Next: caller") || value.contains("Next: conclusion.") {
                guard index + 1 < utterances.count, let next = utterances[index + 1]["value"]?.string,
                    let speaker = utterances[index + 1]["from"]?.string
                else { throw StaticTestError.noConversation(record: number + 1) }
                reference = "assistant: \(value)</s>\(speaker): \(next)</s>"
            }
            return StaticTurn(trajectory: number, utterance: index, tools: names, reference: reference)
        }
    }
}

/// What a system said in a turn, read as the original evaluation reads it.
struct StaticReading: Hashable {
    enum Plan: String, Codable, Sendable, CaseIterable {
        case call, finish
        case giveUp = "give up"
    }

    let plan: Plan
    /// Of a call, `none` when no name is given.
    let action: String?
    /// Of a call, `{}` when no input is given.
    let input: String?
    /// Of a finish.
    let answer: String?

    /// - Parameter text: the planner's words, the end-of-sequence mark, then the caller's or the summarizer's. Without the
    ///   mark, where the original stops with an error, the whole text is read.
    init(_ text: String) {
        // By bytes: Swift would not find a mark that a combining character follows.
        let bytes = Array(text.utf8)[...]
        if bytes.range(of: "Next: give up") != nil {
            (plan, action, input, answer) = (.giveUp, nil, nil, nil)
        } else if bytes.range(of: "Next: conclusion") != nil {
            let said = bytes.after("conclusion: ") ?? bytes.after("conclusion:") ?? bytes
            (plan, action, input) = (.finish, nil, nil)
            answer = said.split(separator: Array("</s>".utf8)).map { String(decoding: $0, as: UTF8.self) }.joined()
        } else {
            let parts = bytes.split(separator: Array("</s>".utf8), omittingEmptySubsequences: false)
            let request = parts.count > 1 ? parts[1] : bytes
            let named = request.after("Action:")
            let name = named.map { named in named.range(of: "Action Input:").map { named[..<$0.lowerBound] } ?? named }
            (plan, answer) = (.call, nil)
            input = request.after("Action Input:").map(\.stripped) ?? "{}"
            action = name.map(\.stripped) ?? "none"
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate func range(of mark: String) -> Range<Int>? { firstRange(of: Array(mark.utf8)) }

    /// What follows the last of a mark; nil without one.
    fileprivate func after(_ mark: String) -> Self? {
        ranges(of: Array(mark.utf8)).last.map { self[$0.upperBound...] }
    }

    fileprivate var stripped: String { PythonSpace.strip(String(decoding: self, as: UTF8.self)) }
}

/// A test or a file of predictions that cannot be used.
public enum StaticTestError: Error, CustomStringConvertible, Equatable {
    case notAList
    case noTurns
    case noConversation(record: Int)
    case noPredictions
    case notAPrediction(record: Int)
    case otherCount(predictions: Int, turns: Int)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .notAList: "the test is not a JSON list; give a file of α-UMi's second stage"
        case .noTurns: "the test has no turn with a decision; give a file of α-UMi's second stage"
        case .noConversation(let record):
            "record \(record) of the test has no whole 'conversations' and 'tools'; give a file of α-UMi's second stage"
        case .noPredictions:
            "the file of predictions is empty; it needs one prediction for each turn, as a JSON list or one a line"
        case .notAPrediction(let record):
            "prediction \(record) is neither a text nor an object with 'prediction' or 'predictions'"
        case .otherCount(let predictions, let turns):
            "there are \(predictions) predictions for \(turns) turns; each turn needs one, in the test's order"
        }
    }
}
