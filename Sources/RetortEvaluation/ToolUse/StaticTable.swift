import Foundation

extension StaticScores {
    /// The scores as Markdown, in percent with 95 % intervals, and the decisions by the reference's decision.
    package var table: String {
        let metrics: [(String, Estimate?)] = [
            ("Plan ACC", planACC), ("Act. EM", actEM), ("Hallu.", hallucination), ("Arg. F1", argF1),
            ("Arg. F1, easy", easyF1), ("Arg. F1, hard", hardF1), ("R-L", rougeL),
        ]
        var lines = ["| metric | % | 95 % | turns |", "| --- | ---: | ---: | ---: |"]
        lines += metrics.map { name, estimate in
            guard let estimate else { return "| \(name) | – | – | 0 |" }
            return
                "| \(name) | \(Self.percent(estimate.value)) | \(Self.percent(estimate.low))–\(Self.percent(estimate.high)) "
                + "| \(estimate.count) |"
        }
        lines += ["", "| reference | turns | Plan ACC, % | predicted |", "| --- | ---: | ---: | --- |"]
        lines += decisions.map { decision in
            let predicted = decision.predicted.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            return "| \(decision.decision) | \(decision.turns) | \(Self.percent(decision.planACC.value)) "
                + "| \(predicted.joined(separator: ", ")) |"
        }
        lines.append("\n\(turns) turns of \(trajectories) trajectories.")
        if unmarked > 0 { lines.append("\(unmarked) calls lack the mark </s>, which the original cannot read.") }
        return lines.joined(separator: "\n")
    }

    private static func percent(_ share: Double) -> String { String(format: "%.1f", 100 * share) }
}
