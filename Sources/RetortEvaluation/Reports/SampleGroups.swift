import Foundation
import RetortCore

/// All trajectories, one group for each score, which the score's link opens.
enum SampleGroups {
    static func render(_ samples: [HTMLReport.Sample]) -> String {
        var order: [String] = []
        var groups: [String: [HTMLReport.Sample]] = [:]
        for sample in samples {
            let task = sample.trajectory.task
            let anchor = SampleSection.anchor(sample.system, task.family, task.split, sample.student)
            if groups[anchor] == nil { order.append(anchor) }
            groups[anchor, default: []].append(sample)
        }
        return order.map { anchor in
            let list = groups[anchor] ?? []
            guard let first = list.first else { return "" }
            let task = first.trajectory.task
            let correct = list.count { $0.verdict.isCorrect }
            return "<details class=\"group\" id=\"\(anchor.escaped)\"><summary>\(first.system.escaped) "
                + "\(first.student.escaped) · \(task.family.rawValue), \(task.split.escaped): "
                + "\(correct) of \(list.count) solved</summary>\(list.map(SampleSection.render).joined())</details>"
        }.joined()
    }
}
