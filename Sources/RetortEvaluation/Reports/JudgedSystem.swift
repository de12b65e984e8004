import Foundation
import RetortCore

/// How a judge rated a system's factual answers, compared with exact match and word overlap.
public struct JudgedSystem: Codable, Sendable, Hashable {
    /// The student's name.
    public var student: String
    /// The system's name.
    public var system: String
    /// Factual answers without a judge's verdict: the judge was not asked, or failed.
    public var unjudged: Int
    /// The agreement; nil when nothing was judged.
    public var agreement: JudgeAgreement?

    /// - Parameter answers: factual answers with their exact-match verdict and the judge's; nil where there is none.
    public init(
        student: String, system: String, _ answers: [(trajectory: Trajectory, exact: Verdict, judge: Verdict?)]
    ) {
        self.student = student
        self.system = system
        unjudged = answers.count { $0.judge == nil }
        agreement = JudgeAgreement(
            answers.compactMap { answer in
                guard let judge = answer.judge else { return nil }
                let f1 = ExactGrader.f1(answer.trajectory.answer ?? "", answer.trajectory.task.answers)
                return .init(isExact: answer.exact.isCorrect, f1: f1, isJudgedCorrect: judge.isCorrect)
            })
    }

    /// All systems in one table; empty when none was judged.
    public static func table(_ systems: [JudgedSystem]) -> ReportTable {
        let rows = systems.compactMap { system in system.agreement.map { row(system, $0) } }
        return ReportTable(
            "Judge, exact match and word overlap",
            columns: [
                "Judged", "System", "Answers", "Exact match", "Judge", "Only judge", "Only exact", "Agreement",
                "Cohen's kappa", "F1 where right", "F1 where wrong", "Not judged",
            ], names: 2, rows: rows,
            note:
                "Factual answers, in percent, with 95 % intervals; kappa is 1 for full agreement and 0 for chance. F1 is "
                + "the mean word overlap of the answers that the judge takes for right, and for wrong.")
    }

    private static func row(_ system: JudgedSystem, _ agreement: JudgeAgreement) -> [String] {
        func figure(_ figure: JudgeAgreement.Figure) -> String {
            String(format: "%.1f (%.0f–%.0f)", figure.value, figure.low, figure.high)
        }
        func percent(_ value: Double?) -> String { value.map { String(format: "%.1f", $0) } ?? "–" }
        var kappa = agreement.kappa.map { String(format: "%.2f", $0) } ?? "–"
        if let low = agreement.kappaLow, let high = agreement.kappaHigh {
            kappa += String(format: " (%.2f to %.2f)", low, high)
        }
        return [
            system.student, system.system, "\(agreement.n)", figure(agreement.exactMatch), figure(agreement.judge),
            "\(agreement.onlyJudge)", "\(agreement.onlyExact)", percent(agreement.agreement), kappa,
            percent(agreement.f1WhereCorrect), percent(agreement.f1WhereWrong), "\(system.unjudged)",
        ]
    }
}
