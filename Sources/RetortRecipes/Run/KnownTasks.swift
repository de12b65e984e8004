import RetortCore

/// A domain's tasks, to find those that trajectories from elsewhere worked on.
struct KnownTasks {
    private let byQuestion: [String: AgentTask]
    private let byID: [String: AgentTask]

    init(_ tasks: [AgentTask]) {
        byQuestion = Dictionary(tasks.map { (Self.plain($0.question), $0) }, uniquingKeysWith: { first, _ in first })
        byID = Dictionary(tasks.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The task with the trajectory's question. A task with its id counts only where one question contains the other:
    /// ids from elsewhere are often mere numbers of lines, while prompts often repeat the question within other words.
    func task(of trajectory: Trajectory) -> AgentTask? {
        let question = Self.plain(trajectory.task.question)
        if let task = byQuestion[question] { return task }
        guard let task = byID[trajectory.task.id] else { return nil }
        let own = Self.plain(task.question)
        return question.contains(own) || own.contains(question) ? task : nil
    }

    /// A question without differences in blanks.
    private static func plain(_ question: String) -> String {
        question.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}
