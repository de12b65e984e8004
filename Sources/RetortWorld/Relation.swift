/// The kinds of things that the encyclopedia has articles about.
public enum EntityKind: String, Sendable, CaseIterable, Codable {
    case person, city, country, organisation, work
}

/// One fact that an entity of a kind has, with every way in which the world puts it into words.
///
/// In the templates `{s}` is the subject and `{v}` the value.
public enum Relation: String, Sendable, CaseIterable, Codable {
    case birthplace, birthYear, employer, spouse
    case country, mayor, population
    case capital, leader
    case founder, foundingYear, headquarters
    case author, publicationYear, publisher

    /// The kind of entity that has this fact.
    public var subject: EntityKind {
        switch self {
        case .birthplace, .birthYear, .employer, .spouse: .person
        case .country, .mayor, .population: .city
        case .capital, .leader: .country
        case .founder, .foundingYear, .headquarters: .organisation
        case .author, .publicationYear, .publisher: .work
        }
    }

    /// The kind of entity that the value names; nil for a number.
    public var value: EntityKind? {
        switch self {
        case .birthplace, .capital, .headquarters: .city
        case .employer, .publisher: .organisation
        case .spouse, .mayor, .leader, .founder, .author: .person
        case .country: .country
        case .birthYear, .population, .foundingYear, .publicationYear: nil
        }
    }

    /// Words that find the fact in a search.
    public var keyword: String {
        switch self {
        case .birthplace: "birthplace"
        case .birthYear: "birth year"
        case .employer: "employer"
        case .spouse: "spouse"
        case .country: "country"
        case .mayor: "mayor"
        case .population: "population"
        case .capital: "capital"
        case .leader: "leader"
        case .founder: "founder"
        case .foundingYear: "founding year"
        case .headquarters: "headquarters"
        case .author: "author"
        case .publicationYear: "publication year"
        case .publisher: "publisher"
        }
    }

    /// `{s}`'s value as a phrase inside a longer question.
    var nounPhrase: String {
        switch self {
        case .birthplace: "the birthplace of {s}"
        case .birthYear: "the birth year of {s}"
        case .employer: "the employer of {s}"
        case .spouse: "the spouse of {s}"
        case .country: "the country of {s}"
        case .mayor: "the mayor of {s}"
        case .population: "the population of {s}"
        case .capital: "the capital of {s}"
        case .leader: "the leader of {s}"
        case .founder: "the founder of {s}"
        case .foundingYear: "the founding year of {s}"
        case .headquarters: "the home city of {s}"
        case .author: "the author of {s}"
        case .publicationYear: "the publication year of {s}"
        case .publisher: "the publisher of {s}"
        }
    }

    /// Ways to ask for `{s}`'s value.
    var questions: [String] {
        switch self {
        case .birthplace: ["Where was {s} born?", "In which city was {s} born?"]
        case .birthYear: ["In which year was {s} born?", "When was {s} born?"]
        case .employer: ["Who is the employer of {s}?", "Which organisation does {s} work for?"]
        case .spouse: ["Who is the spouse of {s}?", "Whom did {s} marry?"]
        case .country: ["In which country is {s}?", "Which country does {s} belong to?"]
        case .mayor: ["Who is the mayor of {s}?", "Who governs {s} as mayor?"]
        case .population: ["How many people live in {s}?", "What is the population of {s}?"]
        case .capital: ["What is the capital of {s}?", "Which city is the capital of {s}?"]
        case .leader: ["Who is the leader of {s}?", "Who leads {s}?"]
        case .founder: ["Who founded {s}?", "Who is the founder of {s}?"]
        case .foundingYear: ["In which year was {s} founded?", "When was {s} founded?"]
        case .headquarters: ["Where is {s} based?", "In which city is {s} based?"]
        case .author: ["Who wrote {s}?", "Who is the author of {s}?"]
        case .publicationYear: ["In which year did {s} appear?", "When was {s} published?"]
        case .publisher: ["Who published {s}?", "Which organisation published {s}?"]
        }
    }

    /// The fact in one plain sentence.
    var statement: String {
        switch self {
        case .birthplace: "{s} was born in {v}."
        case .birthYear: "{s} was born in {v}."
        case .employer: "{s} works for {v}."
        case .spouse: "{s} is married to {v}."
        case .country: "{s} is in {v}."
        case .mayor: "The mayor of {s} is {v}."
        case .population: "{s} has {v} people."
        case .capital: "The capital of {s} is {v}."
        case .leader: "The leader of {s} is {v}."
        case .founder: "{s} was founded by {v}."
        case .foundingYear: "{s} was founded in {v}."
        case .headquarters: "{s} is based in {v}."
        case .author: "{s} was written by {v}."
        case .publicationYear: "{s} appeared in {v}."
        case .publisher: "{s} was published by {v}."
        }
    }

    /// How the encyclopedia puts it; the subject is that of the article and appears as a pronoun or a name.
    var sentences: [String] {
        switch self {
        case .birthplace: ["{s} was born in {v}.", "{s} comes from {v}.", "The birthplace of {s} is {v}."]
        case .birthYear: ["{s} was born in {v}.", "The year of birth is {v}.", "Records give {v} as the birth year."]
        case .employer: ["{s} works for {v}.", "The employer is {v}.", "{s} has long been employed by {v}."]
        case .spouse: ["{s} is married to {v}.", "The spouse is {v}.", "{s} married {v}."]
        case .country: ["{s} is a city in {v}.", "{s} lies in {v}.", "The city belongs to {v}."]
        case .mayor: ["The mayor is {v}.", "{s} is governed by the mayor {v}.", "{v} serves as mayor."]
        case .population: ["{s} has a population of {v}.", "About {v} people live here.", "The population is {v}."]
        case .capital: ["The capital of {s} is {v}.", "{v} is the capital.", "Its capital city is {v}."]
        case .leader: ["The leader is {v}.", "{s} is led by {v}.", "{v} leads the country."]
        case .founder: ["{s} was founded by {v}.", "The founder was {v}.", "{v} founded it."]
        case .foundingYear: ["It was founded in {v}.", "The founding year is {v}.", "{s} dates from {v}."]
        case .headquarters: ["{s} is based in {v}.", "Its headquarters are in {v}.", "The main office is in {v}."]
        case .author: ["{s} was written by {v}.", "The author is {v}.", "{v} wrote it."]
        case .publicationYear: ["It appeared in {v}.", "{s} was published in {v}.", "The year of publication is {v}."]
        case .publisher: ["The publisher was {v}.", "{v} published it.", "{s} was brought out by {v}."]
        }
    }

    /// The relations an entity of a kind has, in a fixed order.
    static func of(_ kind: EntityKind) -> [Relation] { allCases.filter { $0.subject == kind } }
}

extension String {
    /// A template with its subject and value put in.
    func filled(subject: String, value: String = "") -> String {
        replacing("{s}", with: subject).replacing("{v}", with: value)
    }
}
