import RetortCore

/// Reads the records of one format: a line, an element of a list, or a whole log.
protocol RecordReader: Sendable {
    /// The trajectories of a record; several where a log holds several runs.
    /// - Throws: `RecordRejection` for a record that cannot be taken.
    mutating func trajectories(_ record: JSONValue, _ context: RecordContext) throws(RecordRejection)
        -> [ReadTrajectory]
}

/// A trajectory, and what is to be said of its record.
struct ReadTrajectory {
    var trajectory: Trajectory
    var notes: RecordNotes

    init(_ trajectory: Trajectory, _ notes: RecordNotes) {
        self.trajectory = trajectory
        self.notes = notes
    }
}

/// What a reader knows of a record from outside it.
struct RecordContext {
    /// The file's name without its ending.
    let source: String
    /// The record's line or number, from 1.
    let number: Int
    let options: RecordedTrajectories.Options

    /// What is known before the record is read.
    /// - Parameter id: the record's own name; else the file's with the record's number.
    func task(id: String?) -> DialogueTask {
        DialogueTask(
            id: id ?? "\(source)-\(number)", family: options.family, split: options.split, known: options.known)
    }
}
