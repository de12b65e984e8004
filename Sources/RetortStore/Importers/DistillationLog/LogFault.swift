/// Known faults of agent-distillation's logs, which are corrected on import.
package enum LogFault: String, Codable, Sendable, CaseIterable {
    /// A value that JSON cannot represent made the writer use one string for the whole record.
    case wholeRecordAsText = "the whole record was one text"
    /// A milder form: every scalar became a text.
    case valuesAsText = "numbers, truth values and nulls were texts"
    /// The member `log_data` was written as text.
    case logAsText = "log_data was a text"
    /// Roles were written as Python prints the enumeration.
    case roleSpelling = "roles were spelled MessageRole.…"
    /// A failed question's record has neither the answer nor the reference.
    case questionFailed = "the question failed and its record lacks the answer fields"
    /// Without the question file the trajectory cannot be graded.
    case referenceMissing = "the reference answer is missing"
    /// Without the question file they cannot be restored.
    case identityLost = "id, level and type are missing"
    /// An answer that had to be asked for was recorded apart from the messages.
    case forcedAnswerAside = "a forced answer stood outside the messages"
    /// The log marks every run as failed.
    case successFalse = "success was false for a run that answered"
    /// Each step adds the running total again, so the totals are kept as reported and not used.
    case tokenTotals = "token totals count earlier steps again"
    /// The reference solution of the hint mode.
    case hintInPrompt = "the prompt shows the reference solution"
    /// A program printed something before it failed, and both texts were joined.
    case gluedTurns = "an output and an error were glued together"
    /// The log contains several runs of the same question.
    case repeatedQuestion = "the question stands in the log before"
    /// Line breaks were CR LF.
    case windowsLineEnds = "lines ended as those of Windows do"
    /// smolagents' planning steps: nothing was run for them.
    case planJoined = "a plan stood between the turns; it became the beginning of the next thought"
    /// Plans that no version of smolagents begins like this, and turns that got lost.
    case unrunJoined = "a turn without a result was not run; it became the beginning of the next thought"
}

/// Why a record cannot be corrected.
enum LogRejection: String, Error {
    case unreadableText = "the record is one text, and no record can be read from it"
    case notARecord = "the record is no object"
    case noQuestion = "the record has no question"
    case noLog = "the record has neither messages nor an error"
    case noTurns = "the messages hold no turn of the model"
    case notText = "a message holds something else than text"
    case unknownRole = "a message's role is none that smolagents writes"
}
