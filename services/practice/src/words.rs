//! What people are made of: names of several languages, places, streets, reasons.
//!
//! Accents, apostrophes, hyphens, particles and other alphabets are here on purpose: a search that
//! only works for ASCII names does not work.

use chrono_tz::Tz;

/// Names of one language.
pub struct Tongue {
    /// Family names.
    pub family: &'static [&'static str],
    /// Given names of women.
    pub female: &'static [&'static str],
    /// Given names of men.
    pub male: &'static [&'static str],
}

/// Where a clinic stands.
pub struct Land {
    /// ISO 3166 alpha-2.
    pub country: &'static str,
    /// Time zones of its clinics.
    pub zones: &'static [Tz],
    /// Which of [`TONGUES`] most of its people speak.
    pub tongue: usize,
    /// How a mobile number begins, and how many digits follow.
    pub dial: (&'static str, usize),
    /// City and the postal code of its centre.
    pub cities: &'static [(&'static str, &'static str)],
    /// Streets, before the number.
    pub streets: &'static [&'static str],
}

/// Why people come.
pub const REASONS: &[&str] = &[
    "Check-up",
    "Blood pressure",
    "Follow-up",
    "Vaccination",
    "Back pain",
    "Cough and fever",
    "Prescription renewal",
    "Blood test results",
    "Skin rash",
    "Headache",
    "Diabetes review",
    "Knee pain",
    "Antenatal visit",
    "Well-child visit",
    "Sick note",
    "Wound dressing",
];

/// What practitioners are.
pub const SPECIALTIES: &[&str] = &[
    "general practice",
    "paediatrics",
    "gynaecology",
    "cardiology",
    "dermatology",
    "general practice",
    "orthopaedics",
    "psychiatry",
    "internal medicine",
    "nursing",
];

/// The languages of [`Land::tongue`], and of those who moved there.
pub const TONGUES: &[Tongue] = &[
    Tongue {
        family: &[
            "Silva",
            "Gonçalves",
            "Conceição",
            "Magalhães",
            "Araújo",
            "Simões",
            "Brandão",
            "Leitão",
            "dos Santos",
            "de Sá",
            "Guimarães",
            "Falcão",
            "Ferrão",
            "Assunção",
            "Antunes",
            "Pinto",
        ],
        female: &[
            "Inês",
            "Conceição",
            "Ana Luísa",
            "Beatriz",
            "Lúcia",
            "Graça",
            "Mafalda",
            "Sónia",
        ],
        male: &["João", "Simão", "António", "Luís", "Tomás", "Vítor", "José Maria", "Rui"],
    },
    Tongue {
        family: &[
            "Müller",
            "Schäfer",
            "Groß",
            "Weiß",
            "Köhler",
            "Jäger",
            "Schröder",
            "von Bülow",
            "Möller",
            "Günther",
            "Strauß",
            "Böhm",
            "Vogt",
            "Krüger",
            "Lange",
            "Fürst",
        ],
        female: &["Käthe", "Jürgena", "Annegret", "Zoë", "Sophie", "Bärbel", "Anneliese", "Mia"],
        male: &["Jürgen", "Björn", "Götz", "Karl-Heinz", "Günter", "Sören", "Felix", "Lukas"],
    },
    Tongue {
        family: &[
            "Lefèvre",
            "Desprès",
            "Gérard",
            "François",
            "Lacroix",
            "d'Aubigné",
            "Bélanger",
            "Hébert",
            "Le Goff",
            "Crépin",
            "Chrétien",
            "Faÿ",
            "Noël",
            "Béchet",
            "Roux",
            "Saint-Cyr",
        ],
        female: &["Hélène", "Chloé", "Anaïs", "Zoé", "Geneviève", "Maëlle", "Océane", "Aurélie"],
        male: &["Étienne", "Loïc", "Jérôme", "Benoît", "Raphaël", "Jean-Noël", "Théo", "Gaël"],
    },
    Tongue {
        family: &[
            "Núñez",
            "Alcántar",
            "Peña",
            "Muñoz",
            "Ibáñez",
            "Echeverría",
            "López",
            "de la Cruz",
            "García",
            "Güell",
            "Zúñiga",
            "Cañadas",
            "Martínez",
            "Ordóñez",
            "Rincón",
            "Sáez",
        ],
        female: &[
            "María José",
            "Begoña",
            "Ángela",
            "Inés",
            "Núria",
            "Rocío",
            "Lucía",
            "Concepción",
        ],
        male: &["José Ángel", "Íñigo", "Adán", "Ramón", "Andrés", "Álvaro", "Jesús", "Martín"],
    },
    Tongue {
        family: &[
            "O'Connor",
            "Ó Briain",
            "MacLeod",
            "Byrne",
            "O'Sullivan",
            "Fitz-Gerald",
            "Ní Dhónaill",
            "Walsh",
            "Smith",
            "Taylor",
            "Okafor",
            "Wright",
            "Llewelyn",
            "Singh-Hughes",
            "Cole",
        ],
        female: &["Siobhán", "Aoife", "Gráinne", "Niamh", "Emily", "Zadie", "Caoimhe", "Ruth"],
        male: &["Seán", "Pádraig", "Oisín", "Diarmuid", "Rhys", "Oliver", "Ciarán", "Tadhg"],
    },
    Tongue {
        family: &[
            "Łukaszewicz",
            "Żółtowska",
            "Wójcik",
            "Dvořák",
            "Čermák",
            "Šťastný",
            "Nowak",
            "Kučera",
            "Świątek",
            "Říha",
            "Zając",
            "Gąsior",
            "Horváthová",
            "Ďurica",
        ],
        female: &["Małgorzata", "Żaneta", "Božena", "Jiřina", "Zdeňka", "Świetlana", "Ľudmila"],
        male: &["Łukasz", "Jiří", "Zbyněk", "Grzegorz", "Ondřej", "Stanisław", "Ľuboš"],
    },
    Tongue {
        family: &[
            "Yılmaz",
            "Öztürk",
            "Çelik",
            "Şahin",
            "Işık",
            "Åkesson",
            "Ødegård",
            "Sørensen",
            "Sjöberg",
            "Þórsson",
            "Nguyễn",
            "Trần",
            "Đặng",
            "Kaur",
            "al-Khatib",
            "Chowdhury",
        ],
        female: &["Ayşe", "Gülşen", "Åsa", "Bjørg", "Þóra", "Thảo", "Hương", "Fatima", "Priya"],
        male: &["İbrahim", "Çağlar", "Åke", "Søren", "Þorsteinn", "Đức", "Tuấn", "Yusuf", "Arjun"],
    },
    Tongue {
        family: &["Παπαδόπουλος", "Γεωργίου", "Ивано́ва", "Шевченко", "Соколов", "Νικολάου"],
        female: &["Ελένη", "Μαρία", "Наталия", "Олена", "Σοφία"],
        male: &["Γιώργος", "Νίκος", "Дмитрий", "Андрій", "Αλέξανδρος"],
    },
];

/// Countries with clinics; the first stands for every zone that is nobody's.
pub const LANDS: &[Land] = &[
    Land {
        country: "PT",
        zones: &[Tz::Europe__Lisbon, Tz::Atlantic__Azores, Tz::Atlantic__Madeira],
        tongue: 0,
        dial: ("+351 9", 8),
        cities: &[
            ("Lisboa", "1100-148"),
            ("Évora", "7000-508"),
            ("Póvoa de Varzim", "4490-438"),
            ("Covilhã", "6200-027"),
            ("Setúbal", "2900-311"),
        ],
        streets: &["Rua da Conceição", "Avenida São João", "Travessa do Açougue", "Largo da Sé"],
    },
    Land {
        country: "DE",
        zones: &[Tz::Europe__Berlin],
        tongue: 1,
        dial: ("+49 15", 9),
        cities: &[
            ("Köln", "50667"),
            ("München", "80331"),
            ("Görlitz", "02826"),
            ("Lübeck", "23552"),
            ("Fürth", "90762"),
        ],
        streets: &["Hauptstraße", "Am Mühlbach", "Königsallee", "Bäckergasse"],
    },
    Land {
        country: "FR",
        zones: &[Tz::Europe__Paris],
        tongue: 2,
        dial: ("+33 6", 8),
        cities: &[
            ("Nîmes", "30000"),
            ("Orléans", "45000"),
            ("Saint-Étienne", "42000"),
            ("Bourges", "18000"),
        ],
        streets: &[
            "Rue de l'Église",
            "Boulevard Gambetta",
            "Place du Marché",
            "Allée des Tilleuls",
        ],
    },
    Land {
        country: "ES",
        zones: &[Tz::Europe__Madrid, Tz::Atlantic__Canary],
        tongue: 3,
        dial: ("+34 6", 8),
        cities: &[
            ("Cádiz", "11001"),
            ("A Coruña", "15001"),
            ("Logroño", "26001"),
            ("León", "24001"),
        ],
        streets: &["Calle de la Peña", "Avenida de España", "Plaza Mayor", "Camino Viñedo"],
    },
    Land {
        country: "IE",
        zones: &[Tz::Europe__Dublin, Tz::Europe__London],
        tongue: 4,
        dial: ("+353 8", 8),
        cities: &[
            ("Dún Laoghaire", "A96 V9H6"),
            ("Galway", "H91 E2W0"),
            ("Cork", "T12 W8KP"),
            ("Dingle", "V92 XY45"),
        ],
        streets: &["Main Street", "St Brigid's Terrace", "Sráid an Chaisleáin", "Quay Road"],
    },
];

/// The land whose clinics keep this zone.
#[must_use]
pub fn land_of(zone: Tz) -> &'static Land {
    LANDS.iter().find(|land| land.zones.contains(&zone)).unwrap_or(&LANDS[0])
}
