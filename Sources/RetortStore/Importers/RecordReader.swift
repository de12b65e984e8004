import RetortCore

/// Reads the records of one format: a line, an element of a list, or a whole log.
protocol RecordReader: Sendable {
    /// The trajectories of a record; several where a log contains several runs.
    /// - Throws: `RecordRejection` for a record that cannot be imported.
    mutating func trajectories(_ record: JSONValue, _ context: RecordContext) throws(RecordRejection)
        -> [ReadTrajectory]
}

/// A trajectory, and notes about its record.
struct ReadTrajectory {
    var trajectory: Trajectory
    var notes: RecordNotes

    init(_ trajectory: Trajectory, _ notes: RecordNotes) {
        self.trajectory = trajectory
        self.notes = notes
    }
}

/// What a reader knows about a record from outside it.
struct RecordContext {
    /// The file's name without its extension.
    let source: String
    /// The record's line or number, from 1.
    let number: Int
    let options: RecordedTrajectories.Options

    /// What is known before the record is read.
    /// - Parameter id: the record's own name; nil takes the file's name with the record's number.
    func task(id: String?) -> DialogueTask {
        DialogueTask(
            id: id ?? "\(source)-\(number)", family: options.family, split: options.split, known: options.known)
    }
}
