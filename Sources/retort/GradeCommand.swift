import ArgumentParser
import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

/// `retort grade`
struct GradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grade", abstract: "Grade answers, or show that the grader can be trusted with a question file.",
        discussion: """
              retort grade --pairs answers.jsonl --json
              retort grade --pairs answers.jsonl --second disagreements.jsonl
              retort grade --pairs answers.jsonl --judge http://127.0.0.1:8000/v1
              retort grade --self-test questions.json --json

            A pair is a line {"prediction": …, "reference": …, "kind": "math" or "factual"}; a reference may be a list of
            accepted ones. A factual answer counts by exact match. With a judge, which may also have been asked before and is
            then a member "judge" of the lines (true, false, or an object with "correct" and "reason"), exact match, word
            overlap (F1) and the judge are held against each other: a two-by-two table and Cohen's kappa, in JSON a last
            line {"agreement": …}. The judge reads a member "question" of the lines where there is one.

            The self-test gives each reference answer back boxed, plain and as SymPy writes it, which must
            all be accepted, and altered in a digit, the sign, by a factor of 100, by 1e-4, with an end of an interval
            open instead of closed or coordinates exchanged, which must be rejected. It ends with code 1 when a reference
            is not accepted or more than one alteration in a thousand is.

            docs/grading.md says what is equal and what is not.
            """)

    @Option(name: .customLong("self-test"), parsing: .upToNextOption, help: "Question files, .json or .jsonl.")
    var selfTest: [String] = []
    @Option(help: "A JSON Lines file of pairs to grade.") var pairs: String?
    @Option(help: "What the questions of a self-test ask for: math or factual.") var kind = AgentTask.Family.math
    @Option(help: "Also ask Math-Verify, and write the pairs on which it differs to this file.") var second: String?
    @Option(help: "Whose rules: retort's, or paper for the verdicts of the agent-distillation paper's own grader.")
    var compatibility = Compatibility.retort
    @Flag(help: "Do without SymPy: what only algebra decides is then decided by numbers at several points.")
    var noSympy = false
    @OptionGroup var judging: JudgeOptions
    @OptionGroup var sandbox: SandboxOptions
    @Flag(help: "Print JSON, one value a line.") var json = false

    enum Compatibility: String, ExpressibleByArgument { case retort, paper }

    func validate() throws {
        guard selfTest.isEmpty != (pairs == nil) else {
            throw ValidationError("Give exactly one of --self-test and --pairs.")
        }
        guard judging.addresses.isEmpty || pairs != nil else { throw ValidationError("--judge needs --pairs.") }
        guard second == nil || !noSympy else { throw ValidationError("--second needs SymPy's sandbox.") }
    }

    func run() async throws {
        let judge = noSympy ? nil : try await SymbolicJudge(requiring: sandbox.required)
        let grader = FamilyGrader(judge: judge, compatibility: compatibility == .paper ? .paper : .retort)
        do {
            if let pairs {
                try await grade(URL(fileURLWithPath: pairs), grader, judge)
            } else {
                try await test(grader, judge)
            }
        } catch {
            await judge?.close()
            throw error
        }
        await judge?.close()
    }

    // MARK: Pairs

    private func grade(_ file: URL, _ grader: FamilyGrader, _ symbolic: SymbolicJudge?) async throws {
        let list = try JSONLinesFile(file).read(AnswerPair.self).records
        let judge = try await judging.judge()
        let grading = PairGrading(grader, second: second == nil ? nil : symbolic, judge: judge)
        let graded = try await grading.grade(list)
        for pair in graded {
            if json { try printJSON(pair) } else { print(Self.line(pair)) }
        }
        if let second {
            let disagreements = graded.compactMap(\.disagreement)
            try JSONLines.write(disagreements, to: URL(fileURLWithPath: second))
            note("\(disagreements.count) of \(graded.count) pairs are judged otherwise by Math-Verify: \(second)")
        }
        note("\(graded.count { $0.correct }) of \(graded.count) correct")
        try report(graded, judge)
    }

    private struct AgreementLine: Codable {
        var agreement: JudgeAgreement
        /// How far the judge's votes agreed with each other.
        var votes: ModelJudge.Agreement?
        /// Factual answers on which the judge failed.
        var unjudged: Int
    }

    /// How far exact match, F1 and the judge agree, if there is a judge.
    private func report(_ graded: [GradedPair], _ judge: ModelJudge?) throws {
        let faults = graded.compactMap(\.judgeFault)
        if let first = faults.first { note("the judge failed on \(faults.count) answers, first with: \(first)") }
        if let agreement = JudgeAgreement(graded) {
            if json {
                try printJSON(AgreementLine(agreement: agreement, votes: judge?.agreement, unjudged: faults.count))
            } else {
                print("\n\(agreement.text)")
            }
        } else if judge != nil {
            note("there is nothing to judge: no pair is of kind factual, or the judge failed on all")
        }
        if !faults.isEmpty { throw ExitCode.failure }
    }

    private static func line(_ pair: GradedPair) -> String {
        let judged = pair.judge.map { " [judge \($0.isCorrect ? "✓" : "✗")]" } ?? ""
        return String(
            "\(pair.correct ? "✓" : "✗")\(judged) \(pair.reason): \(pair.prediction ?? "nothing")".prefix(200))
    }

    private func printJSON(_ value: some Encodable) throws {
        print(String(decoding: try JSONCoding.encoder.encode(value), as: UTF8.self))
    }

    // MARK: Self-test

    private struct Report: Codable {
        var file: String
        var n: Int
        var accepted: Int
        var altered: Int
        var rejected: Int
        var forms: Int
        var acceptedForms: Int
        /// References that were read as mathematics, not only compared as texts.
        var understood: Int
        /// Records without an answer, which are not questions.
        var unanswered: Int
        /// Records that the end of the file cuts off.
        var torn: Int
        var refused: [GraderSelfTest.Failure]
        var exceptions: [GraderSelfTest.Failure]
    }

    private func test(_ grader: FamilyGrader, _ judge: SymbolicJudge?) async throws {
        var isPassed = true
        for path in selfTest {
            let questions = try QuestionFile(URL(fileURLWithPath: path), family: kind, split: "", tornEnd: .leaveOut)
            let result = try await GraderSelfTest(questions.tasks, grader: grader, judge: judge)
            isPassed = isPassed && result.passes
            let report = Report(
                file: path, n: result.n, accepted: result.accepted, altered: result.altered, rejected: result.rejected,
                forms: result.forms, acceptedForms: result.acceptedForms, understood: result.understood,
                unanswered: questions.unanswered,
                torn: questions.omissions.count { $0.reason == .torn },
                refused: result.refused, exceptions: result.exceptions)
            if json {
                try printJSON(report)
            } else {
                show(report)
            }
        }
        if !isPassed { throw ExitCode.failure }
    }

    private func show(_ report: Report) {
        print(
            "\(report.file): \(report.accepted) of \(report.n) accepted (\(report.acceptedForms) of \(report.forms) forms), "
                + "\(report.rejected) of \(report.altered) altered rejected")
        if report.unanswered > 0 { print("  \(report.unanswered) records have no answer") }
        if report.torn > 0 { print("  the file ends in the middle of a record, which is left out") }
        for failure in report.refused { print("  refused as \(failure.kind): \(failure.answer)  (\(failure.reason))") }
        for failure in report.exceptions {
            print("  accepted for \(failure.reference): \(failure.answer) (\(failure.kind); \(failure.reason))")
        }
    }

    private func note(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
}
