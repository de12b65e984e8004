import Foundation
import RetortCore
import Testing

@testable import RetortEvaluation

@Suite("Agreement of judge, exact match and F1")
struct JudgeAgreementTests {
    private func opinions(_ both: Int, _ onlyExact: Int, _ onlyJudge: Int, _ neither: Int) -> [JudgeAgreement.Opinion] {
        [(both, true, true), (onlyExact, true, false), (onlyJudge, false, true), (neither, false, false)].flatMap {
            count, exact, judged in
            (0..<count).map { _ in
                JudgeAgreement.Opinion(isExact: exact, f1: exact ? 1 : judged ? 0.5 : 0, isJudgedCorrect: judged)
            }
        }
    }

    @Test("kappa is the textbook's, within its interval")
    func kappa() throws {
        // Cohen's kappa of 20, 5, 10 and 15: observed 0.7, chance 0.5.
        let found = try #require(JudgeAgreement(opinions(20, 5, 10, 15)))
        #expect(abs(try #require(found.kappa) - 0.4) < 1e-12 && abs(found.agreement - 70) < 1e-9)
        #expect(found.bothCorrect == 20 && found.onlyExact == 5 && found.onlyJudge == 10 && found.neither == 15)
        let (low, high) = (try #require(found.kappaLow), try #require(found.kappaHigh))
        // Fleiss, Cohen and Everitt's standard error is 0.127.
        #expect(abs(low - 0.15) < 0.06 && abs(high - 0.65) < 0.06)
        #expect(abs(found.exactMatch.value - 50) < 1e-9 && abs(found.judge.value - 60) < 1e-9)
        #expect(found.text.contains("Cohen's kappa 0.4 ("))
    }

    @Test("overlap separates right from wrong: 1 when it always does, ½ when it never does")
    func separation() throws {
        let found = try #require(JudgeAgreement(opinions(5, 0, 5, 10)))
        #expect(found.f1Separation == 1 && found.f1WhereCorrect == 75 && found.f1WhereWrong == 0)
        let same = (0..<10).map { JudgeAgreement.Opinion(isExact: false, f1: 0.3, isJudgedCorrect: $0 % 2 == 0) }
        #expect(JudgeAgreement(same)?.f1Separation == 0.5)
    }

    @Test("where all say the same of everything there is no kappa; without opinions there is nothing")
    func degenerate() {
        #expect(JudgeAgreement(opinions(5, 0, 0, 0))?.kappa == nil)
        #expect(JudgeAgreement(opinions(5, 0, 0, 0))?.agreement == 100)
        #expect(JudgeAgreement([JudgeAgreement.Opinion]()) == nil)
    }

    /// Finds right whatever holds the word `right`; fails on `broken`.
    private struct Reader: LanguageModel {
        let identity = "reader"

        func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
            AsyncThrowingStream { continuation in
                let text = request.messages.last?.text ?? ""
                guard !text.contains("broken") else {
                    return continuation.finish(throwing: CocoaError(.fileNoSuchFile))
                }
                let reply = "{\"reason\": \"read\", \"correct\": \(text.contains("<answer>\nright"))}"
                for sample in 0..<request.samples {
                    continuation.yield(.finished(sample: sample, Completion(text: reply, finish: .endOfTurn)))
                }
                continuation.finish()
            }
        }
    }

    @Test("pairs are put to the judge, exact matches too; what it fails on is named and not counted")
    func pairs() async throws {
        let judge = ModelJudge(Reader(), votes: 1, asking: .all)
        let pairs = [
            ("right man", "right man"), ("right fellow", "man"), ("other", "other"), ("wrong", "man"), ("broken", "x"),
        ].map { AnswerPair(prediction: $0, references: [$1], kind: .factual, question: "Who?") }
        let graded = try await PairGrading(FamilyGrader(), judge: judge).grade(
            pairs + [AnswerPair(prediction: "2", references: ["2"], kind: .math)])
        #expect(graded.map { $0.judge?.isCorrect } == [true, true, false, false, nil, nil])
        #expect(graded.map { $0.judgeFault != nil } == [false, false, false, false, true, false])
        let found = try #require(JudgeAgreement(graded))
        let counts: [Int] = [found.n, found.bothCorrect, found.onlyExact, found.onlyJudge, found.neither]
        #expect(counts == [4, 1, 1, 1, 1])
        #expect(found.kappa == 0)
    }

    @Test(
        "a file may bring its verdicts along",
        arguments: [
            ("true", true), ("0", false), (#"{"correct": true, "reason": "same"}"#, true),
            (#"{"isCorrect": false}"#, false),
        ])
    func recorded(judge: String, isCorrect: Bool) async throws {
        let line = #"{"prediction": "a", "reference": "b", "kind": "factual", "judge": \#(judge)}"#
        let pair = try JSONCoding.decoder.decode(AnswerPair.self, from: Data(line.utf8))
        #expect(pair.judge?.isCorrect == isCorrect)
        #expect(try await PairGrading(FamilyGrader()).grade([pair])[0].judge == pair.judge)
        let broken = line.replacing(judge, with: "\"yes\"")
        #expect(throws: DecodingError.self) { try JSONCoding.decoder.decode(AnswerPair.self, from: Data(broken.utf8)) }
    }
}

@Suite("Spellings of answers")
struct AnswerSpellingTests {
    @Test(
        "equal values have one spelling",
        arguments: [
            ["0.5", "1/2", "\\boxed{\\frac{1}{2}}", "Fraction(1, 2)"],
            ["1,204", "1204", "1204.0", "The answer is 1204."],
            ["x = 5", "5"], ["{1, 2}", "2, 1", "\\{2,1\\}"], ["(1, 2)", "\\left(1, 2\\right)"],
            ["\\sqrt{8}", "2*sqrt(2)"], ["\\text{Evelyn}", "evelyn"],
        ])
    func equal(texts: [String]) {
        #expect(Set(texts.map { AnswerSpelling.of(.string($0), .math) }).count == 1)
    }

    @Test("different values have different ones")
    func different() {
        let texts = ["1", "2", "-1", "100", "1/2", "50%", "(1,2)", "(2,1)", "[1,2)", "1,2", "x", "\\pi", "3.14"]
        #expect(Set(texts.map { AnswerSpelling.of(.string($0), .math) }).count == texts.count)
        #expect(AnswerSpelling.of(7, .math) == AnswerSpelling.of("7", .math))
        #expect(AnswerSpelling.of(.null, .math) == nil && AnswerSpelling.of(" ", .factual) == nil)
        #expect(AnswerSpelling.of("The Man.", .factual) == "man")
    }
}
