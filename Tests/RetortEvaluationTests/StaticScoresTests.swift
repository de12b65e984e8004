import Foundation
import RetortCore
import Testing

@testable import RetortEvaluation

@Suite("ROUGE-L as the package `rouge` has it")
struct RougeLTests {
    /// Figures of the package, version 1.0.1.
    @Test(
        "the package's figures",
        arguments: [
            ("the cat sat on the mat", "the cat lay on a mat", 0.7272727223140496),
            ("a b. c d. a", "a c d. b a.", 0.749999995),
            ("x", " . y", 0), ("same words here.", "same words here.", 0.999999995),
            ("one two three four", "four three two one", 0.24999999500000009),
            ("e\u{301} é", "é e\u{301}", 0.4999999950000001), ("a\u{1C}b c", "a b\u{A0}c", 0.999999995),
            ("...", "a", 0),
        ] as [(String, String, Double)])
    func figures(text: String, reference: String, f: Double) {
        #expect(abs(RougeL.f(text, reference: reference) - f) < 1e-12)
    }
}

@Suite("α-UMi's static metrics")
struct StaticScoresTests {
    private static func call(_ name: String, _ input: String) -> String {
        "assistant: So. Next: caller.</s>caller: Action: \(name)\nAction Input: \(input)</s>"
    }

    private static func finish(_ answer: String) -> String {
        "assistant: Done. Next: conclusion.</s>conclusion: \(answer)</s>"
    }

    private static let giveUp = "No. Next: give up."

    private func turn(_ reference: String, trajectory: Int = 0) -> StaticTurn {
        StaticTurn(trajectory: trajectory, utterance: 0, tools: ["find", "list"], reference: reference)
    }

    private func scores(_ pairs: [(reference: String, prediction: String)]) throws -> StaticScores {
        let turns = pairs.enumerated().map { turn($1.reference, trajectory: $0) }
        return try StaticScores(turns, predictions: pairs.map(\.prediction))
    }

    @Test("the references themselves score 1, and nothing is made up")
    func perfect() throws {
        let all = [Self.call("find", #"{"a": 1}"#), Self.call("list", "{}"), Self.finish("It is so."), Self.giveUp]
        let scores = try scores(all.map { ($0, $0) })
        for estimate in [scores.planACC, scores.actEM, scores.argF1, scores.easyF1, scores.hardF1] {
            #expect(estimate?.value == 1)
            #expect(estimate?.low == 1)
        }
        // The package's own constant keeps it this far below 1.
        #expect(abs((scores.rougeL?.value ?? 0) - 1) < 1e-8)
        #expect(scores.hallucination.value == 0)
        #expect(scores.decisions.map(\.decision) == ["call", "finish", "give up"])
        #expect(scores.decisions.map(\.turns) == [2, 1, 1])
    }

    @Test(
        "arguments",
        arguments: [
            (#"{"a": 1, "b": 2}"#, #"{"a": 1, "b": 2}"#, 1.0), (#"{"a": 1}"#, #"{"a": 1.0}"#, 1),
            (#"{"a": 1}"#, #"{"a": true}"#, 1),
            (#"{"a": 1}"#, #"{"a": "1"}"#, 0.5), (#"{"a": 1, "b": 2}"#, #"{"a": 1}"#, 2.0 / 3),
            (#"{"a": 1}"#, #"{"b": 1}"#, 0),
            (#"{"a": 1}"#, "{}", 0), (#"{"a": 1}"#, "[1]", 0), (#"{"a": 1}"#, "{a: 1}", 0),
            (#"{"a": NaN}"#, #"{"a": NaN}"#, 0.5),
            (#"{"é": 1}"#, #"{"e\#u{301}": 1}"#, 0), (#"{"a": {"b": [1, 2]}}"#, #"{"a": {"b": [1.0, 2]}}"#, 1),
            (#"{"a": 1}"#, #"{"a": 2, "a": 1}"#, 1), (#"{"a": 100000000000000000000}"#, #"{"a": 1e20}"#, 1),
        ] as [(String, String, Double)])
    func arguments(reference: String, prediction: String, f1: Double) throws {
        let scores = try scores([(Self.call("find", reference), Self.call("find", prediction))])
        #expect(abs((scores.hardF1?.value ?? -1) - f1) < 1e-12)
        #expect(scores.argF1 == scores.hardF1)
        #expect(scores.easyF1 == nil)
    }

    @Test("a reference without arguments is easy; one that is no JSON does not count; another name scores 0 in both")
    func kinds() throws {
        #expect(try scores([(Self.call("find", "{}"), Self.call("find", "{ }"))]).easyF1?.value == 1)
        #expect(try scores([(Self.call("find", "{}"), Self.call("find", #"{"a": 1}"#))]).easyF1?.value == 0)
        #expect(try scores([(Self.call("find", "oops"), Self.call("find", "{}"))]).argF1 == nil)
        let other = try scores([(Self.call("find", "{}"), Self.call("list", "{}"))])
        #expect(other.easyF1?.value == 0)
        #expect(other.hardF1?.value == 0)
        #expect(other.actEM?.value == 0)
        #expect(other.hallucination.value == 0)
    }

    @Test("made-up names count over all turns; none is not made up")
    func hallucination() throws {
        let scores = try scores([
            (Self.call("find", "{}"), Self.call("search", "{}")), (Self.call("find", "{}"), "So. Next: caller."),
            (Self.finish("x"), Self.call("Finish", "{}")), (Self.giveUp, Self.giveUp),
        ])
        #expect(scores.hallucination.value == 0.5)
        #expect(scores.planACC.value == 0.75)
        #expect(scores.unmarked == 1)
        #expect(scores.decisions[1].predicted == ["call": 1])
        #expect(scores.rougeL?.value == 0)
    }

    @Test("texts are read as the original reads them")
    func readings() {
        func reading(_ text: String) -> [String?] {
            let reading = StaticReading(text)
            return [reading.plan.rawValue, reading.action, reading.input, reading.answer]
        }
        #expect(reading("a Next: give up. Next: conclusion.") == ["give up", nil, nil, nil])
        #expect(reading(Self.finish("conclusion: x</s>")) == ["finish", nil, nil, "x"])
        #expect(reading("Next: conclusion.") == ["finish", nil, nil, "Next: conclusion."])
        #expect(reading("a</s>Action: x\u{A0}\nAction Input: {} \n</s>Action: y") == ["call", "x", "{}", nil])
        #expect(reading("a</s>Action Input: {}\nAction: x") == ["call", "x", "{}\nAction: x", nil])
        #expect(reading("") == ["call", "none", "{}", nil])
        // A combining mark does not hide a mark, as it would from Swift's own search.
        #expect(reading("Next: give up\u{301}")[0] == "give up")
    }

    @Test("intervals draw whole trajectories: turns that fail together count once")
    func intervals() throws {
        let values = (0..<200).map { (group: $0 / 20, value: $0 / 20 < 5 ? 1.0 : 0.0) }
        let clustered = try #require(ClusterBootstrap().estimate(values))
        let independent = try #require(
            ClusterBootstrap().estimate(values.enumerated().map { (group: $0, value: $1.value) }))
        #expect(clustered.value == 0.5)
        #expect(clustered.high - clustered.low > 2 * (independent.high - independent.low))
        #expect(clustered == ClusterBootstrap().estimate(values))
    }

    @Test("predictions as texts or objects; none, too few and others are told")
    func files() throws {
        #expect(try StaticScores.predictions(["a", ["prediction": "b"], ["predictions": "c"]]) == ["a", "b", "c"])
        #expect(throws: StaticTestError.noPredictions) { try StaticScores.predictions([]) }
        #expect(throws: StaticTestError.notAPrediction(record: 2)) { try StaticScores.predictions(["a", 2]) }
        #expect(throws: StaticTestError.otherCount(predictions: 1, turns: 2)) {
            try StaticScores([turn(Self.giveUp), turn(Self.giveUp)], predictions: ["a"])
        }
        #expect(throws: StaticTestError.notAList) { try StaticTurn.turns(of: [:]) }
        #expect(throws: StaticTestError.noTurns) { try StaticTurn.turns(of: []) }
        #expect(throws: StaticTestError.noConversation(record: 1)) { try StaticTurn.turns(of: [[:]]) }
    }

    @Test("a turn for each decision, with what follows it; a rationale without one is no turn")
    func turns() throws {
        func said(_ speaker: String, _ text: String) -> JSONValue {
            ["from": .string(speaker), "value": .string(text)]
        }
        let turns = try StaticTurn.turns(of: [
            [
                "tools": [["Name": "find"]],
                "conversations": [
                    said("user", "?"), said("assistant", "Hm."), said("assistant", "So. Next: caller."),
                    said("caller", "Action: find\nAction Input: {}"), said("observation", "x"),
                    said("assistant", "No. Next: give up."),
                ],
            ]
        ])
        #expect(
            turns.map(\.reference) == [
                "assistant: So. Next: caller.</s>caller: Action: find\nAction Input: {}</s>", "No. Next: give up.",
            ])
        #expect(turns[0].tools == ["find"])
    }
}
