import RetortCore

/// Gives trajectories of others ids of their own: a task's id belongs to one question, and a trajectory's id to one
/// attempt. Without this, a later one would take an earlier one's place in a store.
struct TrajectoryNames {
    /// The ids given to the questions that came with a task's id.
    private var given: [String: [String: String]] = [:]
    private var claimed: Set<String> = []
    private var ids: Set<String> = []
    private var attempts: [String: Int] = [:]
    private(set) var notes: [(fault: String, record: Int)] = []

    static let sameID = "different questions have the same id; the later ones got ids of their own"
    static let sameName = "trajectories have the same id; the later ones became further attempts"

    /// The trajectory with an id that none before it has.
    /// - Parameter record: the number of its record.
    mutating func named(_ trajectory: Trajectory, record: Int) -> Trajectory {
        var trajectory = trajectory
        let id = taskID(trajectory.task)
        if id != trajectory.task.id {
            notes.append((Self.sameID, record))
            trajectory.task.id = id
            trajectory.number(trajectory.provenance.attempt)
        }
        guard !ids.insert(trajectory.id).inserted else { return trajectory }
        // Retort's own trajectories have names already; others are counted here.
        if trajectory.provenance.version != nil { notes.append((Self.sameName, record)) }
        let name = "\(id)/\(trajectory.provenance.policy)"
        var attempt = attempts[name] ?? 0
        repeat {
            trajectory.number(attempt)
            attempt += 1
        } while !ids.insert(trajectory.id).inserted
        attempts[name] = attempt
        return trajectory
    }

    private mutating func taskID(_ task: AgentTask) -> String {
        if let id = given[task.id]?[task.question] { return id }
        var number = (given[task.id]?.count ?? 0) + 1
        var id = number == 1 ? task.id : task.variant(number)
        while !claimed.insert(id).inserted {
            number += 1
            id = task.variant(number)
        }
        given[task.id, default: [:]][task.question] = id
        return id
    }
}

extension AgentTask {
    /// The id for another question under the same id, counted from 2.
    func variant(_ number: Int) -> String { "\(id)#\(number)" }
}

extension Trajectory {
    /// Names the trajectory after its task, its policy and an attempt.
    mutating func number(_ attempt: Int) {
        provenance.attempt = attempt
        id = "\(task.id)/\(provenance.policy)/\(attempt)"
    }
}
