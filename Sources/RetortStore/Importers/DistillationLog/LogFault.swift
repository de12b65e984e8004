/// What is known to go wrong in agent-distillation's logs, and is put right on the way in.
public enum LogFault: String, Codable, Sendable, CaseIterable {
    /// A value that JSON has no form for made the writer fall back to one string for the whole record.
    case wholeRecordAsText = "the whole record was one text"
    /// The same, one level milder: every scalar became a text.
    case valuesAsText = "numbers, truth values and nulls were texts"
    case logAsText = "log_data was a text"
    case roleSpelling = "roles were spelled MessageRole.…"
    /// A failure's record has neither the answer nor the reference.
    case questionFailed = "the question failed and its record lacks the answer fields"
    case referenceMissing = "the reference answer is missing"
    /// Without the question file they stay lost.
    case identityLost = "id, level and type are missing"
    case forcedAnswerAside = "a forced answer stood outside the messages"
    /// The log says so of every run.
    case successFalse = "success was false for a run that answered"
    /// Each step adds the total so far once more, so the totals are kept as reported and not used.
    case tokenTotals = "token totals count earlier steps again"
    /// The hint mode's reference solution.
    case hintInPrompt = "the prompt shows the reference solution"
    case gluedTurns = "an output and an error were glued together"
    case repeatedQuestion = "the question stands in the log before"
    case windowsLineEnds = "lines ended as those of Windows do"
    /// smolagents' planning steps: nothing was run for them.
    case planJoined = "a plan stood between the turns; it became the beginning of the next thought"
}

/// A record that cannot be put right.
enum LogRejection: String, Error {
    case unreadableText = "the record is one text, and no record can be read from it"
    case notARecord = "the record is no object"
    case noQuestion = "the record has no question"
    case noLog = "the record has neither messages nor an error"
    case noTurns = "the messages hold no turn of the model"
    case notText = "a message holds something else than text"
    case unknownRole = "a message's role is none that smolagents writes"
}
