/// A run that cannot be opened or continued.
public enum RunError: Error, CustomStringConvertible {
    /// A path that cannot be written, and the reason.
    case cannotWrite(String, String)
    /// Another process works in the folder.
    case inUse(String)
    /// The folder contains no run.
    case noRun(String)
    /// A file of the run that cannot be read, and the reason.
    case damaged(String, String)
    /// A file or folder that a stage depends on cannot be read, and the reason.
    case unreadable(String, String)
    /// What the recipe names and cannot be used: all faults.
    case unusable([String])
    /// None of the trajectories passed the filters.
    case nothingToTrainOn(style: String, of: Int)
    /// Tasks for validation without a usable trajectory, or too few tasks to hold any out.
    case nothingToLookAt(style: String, tasks: Int, why: String)
    /// More of a stage failed than the recipe allows.
    case tooManyFailures(stage: String, failed: Int, of: Int, causes: [String], limit: Double)
    /// A set with imported trajectories, which a stage would have to remove.
    case imported(set: String)
    /// A set contains the runs of another agent, or of other queries.
    case otherRuns(set: String, changed: [String])
    /// A name that none of the recipe's students has, and the names that they have.
    case noStudent(String, known: [String])
    /// The recipe has no teacher whose cost could be estimated.
    case noTeacher

    static func tooManyFailures(_ stage: String, _ outcome: StageOutcome, limit: Double) -> Self {
        let causes = outcome.failures.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4)
        return .tooManyFailures(
            stage: stage, failed: outcome.failed, of: outcome.total, causes: causes.map { "\($0.value) × \($0.key)" },
            limit: limit)
    }

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .cannotWrite(let path, let reason): "\(path) cannot be written: \(reason)"
        case .inUse(let path): "another process is working in \(path); wait for it, or choose another --folder"
        case .noRun(let path): "\(path) holds no run; make one with 'retort run RECIPE'"
        case .damaged(let path, let reason):
            "\(path) cannot be read: \(reason); name another folder with --folder, or move this one away, and run again"
        case .unreadable(let path, let reason): "\(path) cannot be read: \(reason); check the path in the recipe"
        case .unusable(let faults):
            "the recipe cannot be carried out, and nothing was begun:\n"
                + faults.map { "  \($0)" }.joined(separator: "\n")
        case .nothingToTrainOn(let style, let count):
            "none of the teacher's \(count) trajectories for '\(style)' passed the filters; "
                + "see results/filter-\(style.fileName).json for the reasons"
        case .nothingToLookAt(let style, let tasks, let why):
            "'\(style)' has nothing to validate on: of \(tasks) tasks, \(why); 'validation: none' trains without, and "
                + "'validation: 0.1' holds out a tenth of the training tasks"
        case .tooManyFailures(let stage, let failed, let total, let causes, let limit):
            "\(stage): \(failed) of \(total) failed (\(causes.joined(separator: ", "))), more than the share of \(limit) "
                + "that the recipe allows; run again to try them again, or raise 'maxFailures'"
        case .imported(let set):
            "the set '\(set)' was imported, and the run would have to replace it; use another --folder for the run, "
                + "or import into a set that the recipe learns from, such as teach/agent"
        case .otherRuns(let set, let changed):
            "the set '\(set)' holds runs that were made otherwise (changed: \(changed.joined(separator: ", "))); "
                + "name another folder with --out"
        case .noStudent(let name, let known):
            "the recipe has no student '\(name)'; it has \(known.joined(separator: ", "))"
        case .noTeacher:
            "the recipe has no teacher that costs anything; name one with 'teacher' or --teacher URL"
        }
    }
}
