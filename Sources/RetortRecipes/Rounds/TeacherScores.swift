import RetortTraining

/// How probable texts are to a teacher, and what it would have written instead. One list for each text, one element for each token.
struct TeacherScores: Codable, Sendable {
    /// In nats; 0 for tokens that were not looked at.
    var logProbabilities: [[Float]]
    /// The likeliest tokens at each place; nil where they are not wanted.
    var choices: [[[TeacherChoice]]]?
}
