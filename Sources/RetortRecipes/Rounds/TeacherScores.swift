import RetortTraining

/// How probable texts are to a teacher, and what it would have written instead: one list per text, one element per
/// token.
struct TeacherScores: Codable, Sendable {
    /// In nats; 0 for tokens that were not scored.
    var logProbabilities: [[Float]]
    /// The likeliest tokens at each position; nil where they are not needed.
    var choices: [[[TeacherChoice]]]?
}
