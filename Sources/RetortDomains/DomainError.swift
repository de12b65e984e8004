import RetortCore

/// A domain that cannot be opened: what is wrong, where, and what to do.
public enum DomainError: Error, CustomStringConvertible, Equatable {
    /// A task file that does not exist.
    case noFile(what: String, path: String)
    /// A record without a question, by its line or number from 1.
    case noQuestion(file: String, record: Int, field: String)
    /// A reference answer that its grader cannot use.
    case noReference(file: String, record: Int, grader: String)
    /// Two tasks with the same id.
    case repeatedID(file: String, record: Int, id: String, other: String)
    /// A file of tasks without any.
    case noTasks(file: String)
    /// A test split that contains training questions.
    case taughtTests(split: String, count: Int, example: String)
    /// Validation tasks that contain training or test questions.
    case seenValidation(others: String, count: Int, example: String)
    /// A file outside the folder that a session's module is shown.
    case outside(file: String, folder: String)
    /// A grader that needs something the domain does not have.
    case cannotGrade(grader: String, needs: String)
    /// Two tools of the same name, or one named like the function that ends a task.
    case repeatedTool(String, places: [String])
    /// A tool that programs cannot call by its name.
    case badToolName(String, place: String, reason: String)
    /// A document that cannot be used.
    case badDocument(file: String, reason: String)
    /// A form of agent that the domain does not support.
    case noForm(String, domain: String, reason: String)
    /// A folder for a new domain that exists already.
    case exists(String)
    /// A variable that a server needs and that the environment lacks.
    case noVariable(String, server: String)
    /// A tool's process or server that cannot be started.
    case cannotStart(String, reason: String)

    /// A message for users: what is wrong, where, and what to do.
    public var description: String {
        switch self {
        case .noFile(let what, let path):
            "\(what): there is no file \(path); check the path, which is relative to domain.yaml"
        case .noQuestion(let file, let record, let field):
            "\(file), record \(record): it has no text '\(field)'; correct the record, or say in 'fields' what the question "
                + "is called"
        case .noReference(let file, let record, let grader):
            "\(file), record \(record): the grader '\(grader)' cannot use its reference answer"
        case .repeatedID(let file, let record, let id, let other):
            "\(file), record \(record): the id '\(id)' is also that of a task in \(other); ids are unique in a domain"
        case .noTasks(let file): "\(file) holds no task"
        case .taughtTests(let split, let count, let example):
            "\(count) questions of the test split '\(split)' are training tasks, too, such as '\(example)'; take them out of "
                + "one of the files"
        case .seenValidation(let others, let count, let example):
            "\(count) questions of the validation tasks are \(others) tasks, too, such as '\(example)'; take them out of one of "
                + "the files: what chooses a checkpoint is neither trained on nor measured on"
        case .outside(let file, let folder):
            "\(file) is not in \(folder); what tools read must lie beside the tools' file or in a folder there"
        case .cannotGrade(let grader, let needs): "the grader '\(grader)' needs \(needs)"
        case .repeatedTool(let name, let places):
            places.count == 1
                ? "a tool of \(places[0]) is named '\(name)', which is the function that ends a task; rename it, or leave it out "
                    + "with 'functions'"
                : "two tools are named '\(name)' (\(places.joined(separator: " and "))); rename one of them, or leave it out "
                    + "with 'functions'"
        case .badToolName(let name, let place, let reason):
            "a tool of \(place) is named '\(name)', which is \(reason); rename it, or leave it out with 'functions'"
        case .badDocument(let file, let reason): "\(file): \(reason)"
        case .noForm(let form, let domain, let reason): "'\(form)' has no meaning in the domain '\(domain)': \(reason)"
        case .exists(let path): "\(path) is there already; name a folder that is not"
        case .noVariable(let name, let server):
            "the environment has no variable '\(name)', which the server '\(server)' needs; set it"
        case .cannotStart(let what, let reason): "\(what) cannot be started: \(reason)"
        }
    }
}
